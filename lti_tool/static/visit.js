// A visit in a frame in which the browser keeps no cookies. The session's token stays in this module's memory: never in
// an address, a storage or the document. Pages are fetched with it and put in place of the one shown, so links, forms
// and the back button do what they always do. Loading the frame again ends the visit, and the page says so.
const GO_ON = "Gatehouse-Location";
const SLOW = 400;
const NO_COOKIES = "Your browser keeps no cookies here. If you reload this page, open the unit from your course again.";
const AWAY = "This page could not be loaded. Check your connection, then try again.";

let token = null;
let shown = "";
let underWay = null;

// Speaks to screen readers; it stays in place while pages come and go.
const voice = document.createElement("div");
voice.className = "vh";
voice.setAttribute("role", "status");
document.body.append(voice);

// Begin the visit and open its first page, in place of the launch in the frame's history.
export function begin(given, path) {
  token = given;
  document.body.dataset.visit = "in memory";
  document.addEventListener("click", follow);
  document.addEventListener("submit", send);
  document.addEventListener("gatehouse-read", readFor);
  addEventListener("popstate", goBack);
  return load(new URL(path, location), {}, history.replaceState);
}

// Put a whole page of the tool in place of the one shown.
export function show(text) {
  const page = new DOMParser().parseFromString(text, "text/html");
  const scripts = page.querySelectorAll("script[src]");
  document.title = page.title;
  document.documentElement.lang = page.documentElement.lang;
  [...document.body.childNodes].forEach((node) => node === voice || node.remove());
  document.body.prepend(...page.body.childNodes);
  page.querySelectorAll("link[rel=stylesheet]").forEach(addStyle);
  scripts.forEach(run);
  voice.textContent = page.title;
}

function follow(event) {
  const link = event.target.closest("a[href]");
  const isPlain = !(event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  if (!link || !isPlain || event.defaultPrevented) return;
  const address = new URL(link.href);
  const isMark = link.href.includes("#") && pageOf(address) === pageOf(location);
  if (isElsewhere(link, address) || link.hasAttribute("download") || isMark) return;
  event.preventDefault();
  load(address);
}

function send(event) {
  const form = event.target;
  const button = event.submitter;
  const given = (name) => (button && button.getAttribute("form" + name)) || form.getAttribute(name);
  const address = new URL(given("action") || "", location);
  if (event.defaultPrevented || isElsewhere(form, address)) return;
  event.preventDefault();
  const data = new FormData(form);
  if (button && button.name) data.append(button.name, button.value);
  if ((given("method") || "get").toLowerCase() === "get") {
    address.search = new URLSearchParams(data);
    return load(address);
  }
  const isPlain = (given("enctype") || "") !== "multipart/form-data";
  load(address, { method: "POST", body: isPlain ? new URLSearchParams(data) : data });
}

function goBack(event) {
  if (pageOf(location) !== shown) load(new URL(location), {}, null, event.state ? event.state.top : 0);
}

// Fetch a page and show it. A form is sent once: while its answer is awaited nothing else begins.
async function load(address, sent = {}, remember = history.pushState, top = 0) {
  if (underWay && underWay.isForm) return;
  if (underWay) underWay.abort();
  const own = (underWay = new AbortController());
  own.isForm = sent.method === "POST";
  const left = scrollY;
  const slow = setTimeout(() => wait(own), SLOW);
  let answer, said;
  try {
    answer = await fetch(address, { ...sent, ...manners(own) });
    said = isPage(answer) ? await answer.text() : await answer.blob();
  } catch {
    if (underWay === own) apologise();
    return;
  } finally {
    clearTimeout(slow);
    document.body.removeAttribute("aria-busy");
    if (underWay === own) underWay = null;
  }
  if (own.signal.aborted) return;
  if (answer.headers.has(GO_ON)) return goOn(new URL(answer.headers.get(GO_ON), address), remember);
  if (!isPage(answer)) return keep(said, answer, address);
  show(said);
  if (!own.isForm) arrive(address, remember, left);
  settle(own.isForm ? null : address.hash, top);
}

// A script of the page shown reads a part of it anew.
function readFor(event) {
  event.detail.answer = fetch(new URL(event.detail.address, location), manners(new AbortController()));
}

function manners(own) {
  const headers = { Authorization: "Bearer " + token, Accept: "text/html" };
  return { headers, credentials: "omit", cache: "no-store", signal: own.signal };
}

function goOn(address, remember) {
  if (address.origin !== location.origin) return location.assign(address);
  return load(address, {}, remember);
}

// The address of the page shown becomes the frame's. The answer to a form has none of its own: going back to it would
// ask for what was never sent.
function arrive(address, remember, left) {
  if (remember === history.pushState) {
    history.replaceState({ top: left }, "");
    if (address.href === location.href) remember = history.replaceState;
  }
  if (remember) remember.call(history, { top: 0 }, "", address);
  shown = pageOf(address);
}

// The reader begins at the heading, unless they are in the course page around us.
function settle(hash, top) {
  const note = document.createElement("p");
  note.textContent = NO_COOKIES;
  (document.querySelector("footer > div") || document.querySelector("main")).append(note);
  const heading = document.querySelector("h1");
  if (heading && document.hasFocus()) heading.focus({ preventScroll: true });
  const mark = hash && document.getElementById(decodeURIComponent(hash.slice(1)));
  if (mark) mark.scrollIntoView();
  else scrollTo(0, top);
}

function wait(own) {
  if (underWay !== own) return;
  document.body.setAttribute("aria-busy", "true");
  voice.textContent = "Loading";
}

function apologise() {
  const box = document.createElement("p");
  box.className = "note stop";
  box.setAttribute("role", "alert");
  box.textContent = AWAY;
  document.querySelectorAll("main > [role=alert]").forEach((old) => old.remove());
  document.querySelector("main").prepend(box);
  box.scrollIntoView({ block: "nearest" });
}

// What is no page is a file to keep.
function keep(file, answer, address) {
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = named ? named[1] : address.pathname.split("/").pop();
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function addStyle(link) {
  const known = [...document.styleSheets].some((sheet) => sheet.href === link.href);
  if (!known) document.head.append(document.importNode(link));
}

// Scripts of a page put in place do not run by themselves.
function run(script) {
  const again = document.createElement("script");
  again.src = script.src;
  again.type = script.type;
  again.async = false;
  document.body.append(again);
}

function isElsewhere(element, address) {
  const target = element.getAttribute("target");
  return address.origin !== location.origin || (target && target !== "_self");
}

function isPage(answer) {
  return (answer.headers.get("Content-Type") || "").startsWith("text/html");
}

function pageOf(address) {
  return address.pathname + address.search;
}
