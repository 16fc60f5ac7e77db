// Cards that stand in the page. Without this script everything is still there to read.
{
  const list = byId("cards");
  const cards = [...list.children].map((element) => ({
    element,
    ...element.dataset,
    said: element.querySelector(".said").textContent.toLowerCase(),
  }));
  let order = cards.map((card) => card.number).join();
  control(cards, (fitting, all) => {
    const shown = new Set(fitting);
    for (const card of all) card.element.hidden = !shown.has(card);
    const wanted = all.map((card) => card.number).join();
    if (order !== wanted) list.append(...all.map((card) => card.element));
    order = wanted;
  });
}
