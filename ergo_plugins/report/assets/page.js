"use strict";
// Sorting and filtering of the cards that stand in the page. Without it everything is still there to read.
{
  const byId = (id) => document.getElementById(id);
  const list = byId("cards");
  const cards = [...list.children].map((element) => ({
    element,
    ...element.dataset,
    said: element.querySelector(".said").textContent.toLowerCase(),
  }));
  const controls = byId("controls");
  const total = cards.length.toLocaleString("en");

  const fits = (card) =>
    card.said.includes(byId("search").value.trim().toLowerCase()) &&
    ["verdict", "box", "task"].every((name) => !byId(name).value || card[name] === byId(name).value) &&
    (byId("problem").value === "-" ? !card.problems : ` ${card.problems} `.includes(byId("problem").value));

  // a number that is not known stands last in both directions
  const comparison = (key, direction) => (a, b) =>
    key in a && key in b ? direction * (a[key] - b[key]) || a.number - b.number : (key in b) - (key in a);

  const show = () => {
    let shown = 0;
    for (const card of cards) {
      card.element.hidden = !fits(card);
      shown += !card.element.hidden;
    }
    byId("shown").textContent = `${shown.toLocaleString("en")} of ${total}`;
    byId("nothing").hidden = shown > 0;
  };
  let order = "number 1"; // as the cards stand in the file
  const sort = () => {
    const [key, direction] = [byId("sort").value, byId("direction").value];
    if (order === `${key} ${direction}`) return;
    order = `${key} ${direction}`;
    cards.sort(comparison(key, Number(direction)));
    list.append(...cards.map((card) => card.element));
  };
  const update = () => {
    sort();
    show();
  };

  byId("search").addEventListener("input", show);
  controls.addEventListener("change", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(update)); // when the fields have their first values again
  for (const name of ["verdict", "box", "task"]) {
    byId(name).parentElement.hidden = new Set(cards.map((card) => card[name])).size < 2; // nothing to choose from
  }
  controls.hidden = false;
  update(); // a reload keeps what was typed
}
