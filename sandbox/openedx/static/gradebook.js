// Fetch the gradebook again every few seconds and mark the cells that changed.
(function () {
  "use strict";
  const EVERY_MS = 3000;
  const live = document.getElementById("live");

  const cellsOf = (root) => Array.from(root.querySelectorAll("td"));

  const renew = (books) => {
    const before = cellsOf(document.getElementById("books")).map((cell) => cell.textContent);
    const scrolled = Array.from(document.querySelectorAll(".scroll")).map((box) => box.scrollLeft);
    document.getElementById("books").replaceWith(books);
    document.querySelectorAll(".scroll").forEach((box, place) => { box.scrollLeft = scrolled[place] || 0; });
    const after = cellsOf(books);
    if (after.length !== before.length) return;
    after.forEach((cell, place) => cell.classList.toggle("fresh", cell.textContent !== before[place]));
  };

  const look = async () => {
    try {
      const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
      const books = page.getElementById("books");
      if (books.innerHTML.trim() !== look.last) {
        if (look.last !== undefined) renew(document.importNode(books, true));
        look.last = books.innerHTML.trim();
      }
      live.classList.remove("stopped");
      live.textContent = "updates by itself";
    } catch (unreachable) {
      live.classList.add("stopped");
      live.textContent = "not reachable, trying again";
    }
  };

  look();
  setInterval(look, EVERY_MS);
})();
