// Cards of a long run: packed in this file, unpacked a page at a time.
(async () => {
  const list = byId("cards");
  const pagers = [...document.querySelectorAll(".pager")];
  const kept = (kind) => [...document.querySelectorAll(`script[data-kept="${kind}"]`)];

  const unpacked = async (element) => {
    const text = atob(element.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };

  const size = list.children.length; // as many as the file shows without a script
  const cards = await unpacked(kept("keys")[0]);
  const made = kept("cards");
  const opened = new Map(); // what was unpacked last
  const cardsOf = (at) => {
    if (!opened.has(at)) {
      if (opened.size > 2 * size) opened.clear();
      opened.set(at, unpacked(made[at]));
    }
    return opened.get(at);
  };
  let words = null;
  const wordsAreThere = () =>
    (words ??= Promise.all(kept("words").map(unpacked)).then((parts) => {
      const said = parts.flat();
      for (const card of cards) card.said = said[card.number];
    }));

  let fitting = cards;
  let page = 0;
  const pages = () => Math.max(1, Math.ceil(fitting.length / size));
  let turn = 0; // of two pages asked for in a row the later one is shown
  const show = async () => {
    const mine = ++turn;
    const shown = fitting.slice(page * size, (page + 1) * size);
    const html = await Promise.all(
      shown.map(async ({ number }) => (await cardsOf(Math.floor(number / size)))[number % size]),
    );
    if (mine !== turn) return;
    const holder = document.createElement("template");
    holder.innerHTML = html.join("\n");
    list.replaceChildren(holder.content);
    for (const pager of pagers) {
      pager.hidden = pages() < 2;
      pager.querySelector("output").textContent = `page ${(page + 1).toLocaleString("en")} of ${pages().toLocaleString("en")}`;
      pager.querySelector('[data-by="-1"]').disabled = page === 0;
      pager.querySelector('[data-by="1"]').disabled = page === pages() - 1;
    }
  };

  // a card's own address leads to it on whichever page it is
  const follow = async () => {
    const named = /^#s(\d+)$/.exec(location.hash);
    const at = named ? fitting.findIndex((card) => card.number === Number(named[1])) : -1;
    if (at < 0) return;
    if (Math.floor(at / size) !== page) {
      page = Math.floor(at / size);
      await show();
    }
    byId(`s${named[1]}`)?.scrollIntoView();
  };

  for (const pager of pagers) {
    pager.addEventListener("click", async ({ target }) => {
      if (!target.dataset.by) return;
      page += Number(target.dataset.by);
      await show();
      byId("samples").scrollIntoView();
    });
  }
  await control(
    cards,
    (found) => {
      fitting = found;
      page = 0;
      return show();
    },
    wordsAreThere,
  );
  byId("unread").hidden = true;
  await follow();
  addEventListener("hashchange", follow);
})();
