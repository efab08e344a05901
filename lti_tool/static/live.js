// Renews a part of a page every few seconds: data-renew is where it is read, data-every how many seconds lie between.
// Without this script the page is complete and has a link to look again. What has not changed is left alone; nothing
// happens while nobody looks. Where the page has them: a button pauses it (#live-pause), a line says how it goes
// (#live-manner), and a voice for screen readers (#live-voice) tells what is in data-says, once a minute at most.
(function () {
  "use strict";
  var OVER_EVERY = 60000, SAY_EVERY = 60000;
  var board = document.querySelector("[data-renew]");
  var button = document.getElementById("live-pause");
  var manner = document.getElementById("live-manner");
  var voice = document.getElementById("live-voice");
  if (!board || board.dataset.running) return;
  board.dataset.running = "yes";

  var every = board.dataset.every * 1000;
  var paused = false, said = words(board), saidAt = Date.now(), timer = null;
  if (button) {
    button.hidden = false;
    button.addEventListener("click", function () {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
      tell();
      if (paused) clearTimeout(timer);
      else renew();
    });
  }
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && !paused && board.isConnected) renew();
  });
  tell();
  wait();

  function tell(trouble) {
    if (!manner) return;
    manner.textContent = trouble || (paused ? "Paused: this page stands still." : "This page renews itself.");
    manner.classList.toggle("gh-problem", Boolean(trouble));
  }

  function wait() {
    clearTimeout(timer);
    timer = setTimeout(renew, board.querySelector("[data-over]") ? OVER_EVERY : every);
  }

  function renew() {
    clearTimeout(timer);
    // The page may have been left while the script waited; a board that is gone is not renewed.
    if (!board.isConnected || paused) return;
    if (document.hidden) return wait();
    read(board.dataset.renew).then(put).catch(function () {
      tell("This page could not be renewed. It is tried again.");
    }).then(wait);
  }

  // A visit without cookies keeps its token in the memory of its own script, which answers this event.
  function read(address) {
    var wanted = new CustomEvent("gatehouse-read", { detail: { address: address, answer: null } });
    document.dispatchEvent(wanted);
    var answer = wanted.detail.answer || fetch(address, { credentials: "same-origin", cache: "no-store" });
    return answer.then(function (response) {
      if (!response.ok) throw new Error("refused");
      return response.text();
    });
  }

  function put(text) {
    if (!board.isConnected || paused) return;
    tell();
    var fresh = new DOMParser().parseFromString(text, "text/html").body;
    if (fresh.innerHTML.trim() === board.innerHTML.trim()) return;
    var open = {};
    board.querySelectorAll("details[id]").forEach(function (each) { open[each.id] = each.open; });
    fresh.querySelectorAll("details[id]").forEach(function (each) {
      if (each.id in open) each.open = open[each.id];
    });
    var held = place(board.contains(document.activeElement) ? document.activeElement : null);
    board.replaceChildren.apply(board, Array.from(fresh.childNodes));
    var again = held && board.querySelectorAll(held.which)[held.number];
    if (again) again.focus({ preventScroll: true });
    speak();
  }

  // Where the reader was: the same link, summary or picture in the renewed board.
  function place(element) {
    if (!element) return null;
    var href = element.getAttribute("href");
    var which = href ? 'a[href="' + CSS.escape(href) + '"]' : element.localName + (element.hasAttribute("tabindex") ? "[tabindex]" : "");
    return { which: which, number: Array.from(board.querySelectorAll(which)).indexOf(element) };
  }

  function speak() {
    var now = words(board);
    if (!voice || now === said || Date.now() - saidAt < SAY_EVERY) return;
    said = now;
    saidAt = Date.now();
    voice.textContent = now;
  }

  function words(part) {
    var told = part.querySelector("[data-says]");
    return told ? told.dataset.says : "";
  }
})();
