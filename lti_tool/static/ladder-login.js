// Lets the platform keep this login's value, in case the browser keeps no cookie; then on to the platform, kept or not.
import { ask } from "./platform-storage.js";

const PATIENCE = 1000;
const link = document.getElementById("go-on");
const { target, key, value } = link.dataset;

ask(target, new URL(link.href).origin, { subject: "lti.put_data", key, value }, PATIENCE).then(function () {
  location.replace(link.href);
});
