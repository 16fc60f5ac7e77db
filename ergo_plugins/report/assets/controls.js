"use strict";
// Sorting and filtering of cards, wherever they are kept. A card is an object with what it is sorted and filtered by.
const byId = (id) => document.getElementById(id);

// place(fitting, all): both in order. wordsAreThere(): before a search, until every card has what it says as card.said.
const control = (cards, place, wordsAreThere) => {
  const controls = byId("controls");
  const total = cards.length.toLocaleString("en");

  const fits = (card) =>
    (!byId("search").value.trim() || card.said.includes(byId("search").value.trim().toLowerCase())) &&
    ["verdict", "box", "task"].every((name) => !byId(name).value || card[name] === byId(name).value) &&
    (byId("problem").value === "-" ? !card.problems : ` ${card.problems} `.includes(byId("problem").value));

  // a number that is not known stands last in both directions
  const comparison = (key, direction) => (a, b) =>
    key in a && key in b ? direction * (a[key] - b[key]) || a.number - b.number : (key in b) - (key in a);

  let order = "number 1"; // as the cards stand in the file
  const sort = () => {
    const [key, direction] = [byId("sort").value, byId("direction").value];
    if (order === `${key} ${direction}`) return;
    order = `${key} ${direction}`;
    cards.sort(comparison(key, Number(direction)));
  };
  const update = async () => {
    if (byId("search").value.trim()) await wordsAreThere?.();
    sort();
    const fitting = cards.filter(fits);
    byId("shown").textContent = `${fitting.length.toLocaleString("en")} of ${total}`;
    byId("nothing").hidden = fitting.length > 0;
    await place(fitting, cards);
  };

  byId("search").addEventListener("input", update);
  controls.addEventListener("change", update);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("reset", () => setTimeout(update)); // when the fields have their first values again
  for (const name of ["verdict", "box", "task"]) {
    byId(name).parentElement.hidden = new Set(cards.map((card) => card[name])).size < 2; // nothing to choose from
  }
  controls.hidden = false;
  return update(); // a reload keeps what was typed
};
