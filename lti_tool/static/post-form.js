// Sends a form that a page was made for. Without script its button does the same.
(function () {
  "use strict";
  var form = document.querySelector("form[data-post]");
  if (form) form.submit();
})();
