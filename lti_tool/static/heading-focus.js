// Some pages are read from their heading on, so the focus goes there. Browsers refuse the attribute autofocus inside
// another site's frame, and a frame that does not hold the focus must not take it from the course page around it.
(function () {
  "use strict";
  var heading = document.querySelector("h1[data-focus]");
  if (heading && document.hasFocus() && !location.hash) heading.focus({ preventScroll: true });
})();
