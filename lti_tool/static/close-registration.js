// The platform is told that its registration is done (LTI Dynamic Registration 1.0); it then closes this window or frame.
// Any opener or parent is told: the message holds nothing, and Canvas frames us from another host than its issuer's.
// Where something is left to be read, the reader decides when.
(function () {
  "use strict";
  var button = document.getElementById("close");
  var platform = window.opener || window.parent;
  function close() {
    if (platform && platform !== window) platform.postMessage({ subject: "org.imsglobal.lti.close" }, "*");
  }
  button.addEventListener("click", close);
  if ("atOnce" in button.dataset) close();
})();
