// Adds the reader's own time beside a Pacific time. Without script the page is complete: Pacific time and UTC offset.
(function () {
  "use strict";
  var zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone) return;

  function parts(at, inZone) {
    var found = {};
    new Intl.DateTimeFormat("en-US", {
      weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit", hour12: true,
      timeZoneName: "short", timeZone: inZone
    }).formatToParts(at).forEach(function (part) { found[part.type] = part.value; });
    found.clock = found.hour + ":" + found.minute + " " + found.dayPeriod.toLowerCase();
    found.date = found.weekday + " " + found.day + " " + found.month;
    return found;
  }

  function words(from, to, clockOnly) {
    var first = parts(from, zone);
    var last = to && parts(to, zone);
    if (clockOnly) return first.clock + (last ? " – " + last.clock : "");
    var end = last ? " – " + (last.date === first.date ? "" : last.date + ", ") + last.clock : "";
    return "your time (" + zone.replace(/_/g, " ") + "): " + first.date + ", " + first.clock + end;
  }

  // Where the reader's clock shows the same as the page's there is nothing to add.
  function differs(at, pageZone) {
    var here = parts(at, zone);
    var there = parts(at, pageZone);
    return here.date !== there.date || here.clock !== there.clock;
  }

  document.querySelectorAll("[data-local-from]").forEach(function (element) {
    var from = new Date(element.dataset.localFrom);
    if (isNaN(from) || !differs(from, element.dataset.zone)) return;
    var to = element.dataset.localTo ? new Date(element.dataset.localTo) : null;
    element.textContent = words(from, to, element.dataset.localForm === "clock");
    element.hidden = false;
  });
  document.querySelectorAll("[data-local-zone]").forEach(function (element) {
    element.textContent = zone.replace(/_/g, " ");
  });
  document.querySelectorAll("[data-local-column]").forEach(function (element) {
    var any = element.closest("table").querySelector("[data-local-from]:not([hidden])");
    if (any) element.hidden = false;
  });
})();
