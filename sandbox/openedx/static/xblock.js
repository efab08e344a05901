// What the LMS does once a block's HTML is on its page: run the block's own script, and tell the page around how tall it is.
(function () {
  "use strict";
  const runtime = { handlerUrl: (element, name) => "/xblock/handler/" + name, notify: () => {} };

  document.querySelectorAll(".xblock[data-init]").forEach((element) => {
    window[element.dataset.init](runtime, element);
  });

  if (window.parent !== window) {
    const tell = () => window.parent.postMessage(
      { type: "plugin.resize", payload: { height: document.documentElement.offsetHeight } }, window.location.origin);
    new ResizeObserver(tell).observe(document.documentElement);
    tell();
  }
})();
