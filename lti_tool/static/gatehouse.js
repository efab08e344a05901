// What every page has: the reader's own times, focus on a heading, the height of the frame, and parts that are read anew.
// Each part is complete in itself. Nothing here is needed: without script every page works.

// Runs once the page has been read.
function whenRead(part) {
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", part);
  else part();
}

// Puts the reader's own time first and keeps the programme's beside it: "12:00 – 8:00 pm your time (9:00 am – 5:00 pm
// Pacific)". Without script the page is complete: it shows the programme's time.
(function () {
  "use strict";
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;

  // The words come from the page, in its language.
  function words() {
    return document.querySelector("[data-your-time]").dataset;
  }

  function parts(at, inZone) {
    var found = {};
    new Intl.DateTimeFormat(document.documentElement.lang + "-US", {
      weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "numeric", minute: "2-digit",
      hourCycle: "h23", timeZone: inZone
    }).formatToParts(at).forEach(function (part) { found[part.type] = part.value; });
    found.half = found.hour < 12 ? words().am : words().pm;
    found.hours = (found.hour % 12 || 12) + ":" + found.minute;
    found.clock = found.hours + " " + found.half;
    found.date = found.weekday + " " + found.day + " " + found.month;
    return found;
  }

  function clocks(first, last) {
    if (!last) return first.clock;
    if (last.date !== first.date) return first.clock + " – " + last.date + ", " + last.clock;
    return (first.half === last.half ? first.hours : first.clock) + "–" + last.clock;
  }

  // Where the reader's clock shows the same as the page's there is nothing to add.
  function differs(at, pageZone) {
    var here = parts(at, zone), there = parts(at, pageZone);
    return here.date !== there.date || here.clock !== there.clock;
  }

  function tell() {
    all("[data-from]:not([data-told])", tellSpan);
    all("text[data-at]:not([data-told])", tellMark);
    all("[data-own-zone]:not([data-told])", function (element) {
      element.dataset.told = "yes";
      element.textContent = zone.split("/").pop().replace(/_/g, " ");
      element.parentElement.hidden = false;
    });
    all("[data-own-column]", function (element) {
      element.hidden = !element.closest("table").querySelector("[data-own]:not([hidden])");
    });
  }

  // What is still being read is left for the next time.
  function all(which, each) {
    document.querySelectorAll(which).forEach(function (element) { if (isWhole(element)) each(element); });
  }

  function isWhole(node) {
    if (document.readyState !== "loading") return true;
    while (node && !node.nextSibling) node = node.parentNode;
    return Boolean(node);
  }

  // A time of the clock under a picture.
  function tellMark(element) {
    var at = new Date(element.dataset.at);
    element.dataset.told = "yes";
    if (!isNaN(at) && differs(at, element.dataset.zone)) element.textContent = parts(at, zone).clock.replace(":00", "");
  }

  function tellSpan(element) {
    var from = new Date(element.dataset.from);
    element.dataset.told = "yes";
    if (isNaN(from) || !differs(from, element.dataset.zone)) return;
    var first = parts(from, zone);
    var last = element.dataset.to ? parts(new Date(element.dataset.to), zone) : null;
    var date = element.querySelector("[data-date]"), own = element.querySelector("[data-own]");
    var kept = element.querySelector("[data-kept]"), there = parts(from, element.dataset.zone);
    if (kept) {
      kept.textContent = "(" + (date && there.date !== first.date ? there.date + ", " : "") + kept.textContent + ")";
      kept.classList.add("muted");
    }
    if (date) date.textContent = date.textContent.replace(there.date, first.date);
    own.textContent = clocks(first, last) + (kept ? " " + words().yourTime + " " : "");
    own.hidden = false;
  }

  // Each time is told as it is read, before it is drawn, so nothing on the page moves.
  var reading = new MutationObserver(tell);
  reading.observe(document, { childList: true, subtree: true });
  whenRead(function () {
    reading.disconnect();
    tell();
  });
  document.addEventListener("gatehouse-renewed", tell);
})();

// Some pages are read from their heading on, so the focus goes there. Browsers refuse the attribute autofocus inside
// another site's frame, and a frame that does not hold the focus must not take it from the course page around it.
whenRead(function () {
  "use strict";
  var heading = document.querySelector("h1[data-focus]");
  if (heading && document.hasFocus() && !location.hash) heading.focus({ preventScroll: true });
});

// Tells the page around the frame how tall this one is, so that it need not scroll inside (Canvas and Moodle listen;
// Open edX's consumer gives the frame the height set in the unit). The message is an object (docs/facts/lti.md, FR-1),
// holds a number and nothing else, and the platform frames us from a host that is not known here, so it goes to any parent.
whenRead(function () {
  "use strict";
  if (window.parent === window || document.body.dataset.measured) return;
  document.body.dataset.measured = "yes";
  var sent = 0;
  function tell() {
    var height = Math.ceil(document.body.getBoundingClientRect().height);
    if (height === sent || !window.parent) return;
    sent = height;
    window.parent.postMessage({ subject: "lti.frameResize", height: height }, "*");
  }
  new ResizeObserver(tell).observe(document.body);
});

// Renews a part of a page every few seconds: data-renew is where it is read, data-every how many seconds lie between.
// Without this script the page is complete and has a link to look again. What has not changed is left alone; nothing
// happens while nobody looks. Where the page has them: a button pauses it (#live-pause), a line says how it goes
// (#live-manner), and a voice for screen readers (#live-voice) tells what is in data-says, once a minute at most.
whenRead(function () {
  "use strict";
  var OVER_EVERY = 60000, SAY_EVERY = 60000;
  // What pages for staff say; those for trainees bring the words in their language.
  var PAUSED = "Paused: this page stands still.", RENEWS = "This page renews itself.";
  var FAILS = "This page could not be renewed. It is tried again.";
  var board = document.querySelector("[data-renew]");
  var button = document.getElementById("live-pause");
  var manner = document.getElementById("live-manner");
  var voice = document.getElementById("live-voice");
  if (!board || board.dataset.running) return;
  board.dataset.running = "yes";

  var every = board.dataset.every * 1000;
  var paused = false, shown = seen(board), said = words(board), saidAt = Date.now(), timer = null;
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
    manner.textContent = trouble ? manner.dataset.fails || FAILS : paused ? PAUSED : manner.dataset.renews || RENEWS;
    manner.classList.toggle("problem", Boolean(trouble));
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
      tell(true);
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
    if (seen(fresh) === shown) return;
    shown = seen(fresh);
    var open = {};
    board.querySelectorAll("details[id]").forEach(function (each) { open[each.id] = each.open; });
    fresh.querySelectorAll("details[id]").forEach(function (each) {
      if (each.id in open) each.open = open[each.id];
    });
    var held = place(board.contains(document.activeElement) ? document.activeElement : null);
    board.replaceChildren.apply(board, Array.from(fresh.childNodes));
    var again = held && board.querySelectorAll(held.which)[held.number];
    if (again) again.focus({ preventScroll: true });
    document.dispatchEvent(new CustomEvent("gatehouse-renewed"));
    speak();
  }

  // The tokens of forms and join links are others each time.
  function seen(part) {
    return part.innerHTML.trim().replace(/ name="csrf" value="[^"]*"|ticket=[^"&]*/g, "");
  }

  // Where the reader was: the same link, summary or picture in the renewed board.
  function place(element) {
    if (!element) return null;
    var href = element.getAttribute("href");
    var which = href ? 'a[href^="' + CSS.escape(href.split("ticket=")[0]) + '"]' : element.localName + (element.hasAttribute("tabindex") ? "[tabindex]" : "");
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
});

// Shows how far an upload is. Without it the same form is sent by the browser; so it is in a visit without cookies, whose
// own script sends every form.
(function () {
  "use strict";
  var line = document.querySelector("[data-upload]");
  var form = line && line.closest("form");
  if (!form || document.body.dataset.visit) return;
  form.addEventListener("submit", function (event) {
    var sent = new XMLHttpRequest(), bar = line.querySelector("progress"), says = line.querySelector("[role]");
    var button = form.querySelector("button");
    event.preventDefault();
    button.disabled = true;
    line.hidden = false;
    sent.upload.onprogress = function (now) {
      var part = Math.floor(100 * now.loaded / now.total);
      bar.value = part;
      says.textContent = part < 100 ? "Uploaded " + part + " %" : "Uploaded. The file is being checked and saved.";
    };
    sent.onload = function () {
      if (sent.status < 300) return location.replace(sent.responseURL);
      document.open();
      document.write(sent.responseText);
      document.close();
    };
    sent.onerror = function () {
      button.disabled = false;
      bar.value = 0;
      says.textContent = "The upload was cut off. Check your connection and the size of the file, then try again.";
    };
    sent.open("POST", form.action);
    sent.send(new FormData(form));
  });
})();
