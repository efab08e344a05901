// The courseware page's half of the talk with the block's frame: its height, and modals it wants opened out here.
(function () {
  "use strict";
  const frame = document.getElementById("unit-frame");
  const modal = document.getElementById("plugin-modal");

  const openModal = ({ url, title }) => {
    const inner = modal.querySelector("iframe");
    inner.src = url;
    inner.title = title || "";
    modal.showModal();
  };

  window.addEventListener("message", (event) => {
    if (event.origin !== window.location.origin || event.source !== frame.contentWindow) return;
    const { type, payload } = event.data || {};
    if (type === "plugin.resize") frame.style.height = Math.max(120, Math.ceil(payload.height)) + 4 + "px";
    if (type === "plugin.modal" && modal) openModal(payload);
  });

  if (modal) {
    modal.querySelector("button").addEventListener("click", () => modal.close());
    modal.addEventListener("close", () => modal.querySelector("iframe").removeAttribute("src"));
  }
})();
