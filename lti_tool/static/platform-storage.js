// One question to the frame in which the platform keeps values for tools (LTI client-side postMessage storage).

// The platform's answer; null when it gives none in time, answers with an error, or there is no such frame. What comes
// from another origin, to another question or about another subject is not an answer.
export function ask(target, origin, question, patience) {
  return new Promise(function (settle) {
    const id = randomId();
    const timer = setTimeout(end, patience, null);

    function end(answer) {
      clearTimeout(timer);
      removeEventListener("message", hear);
      settle(answer);
    }

    function hear(event) {
      const said = event.data;
      if (event.origin !== origin || !said || said.message_id !== id) return;
      if (said.subject === question.subject + ".response") end(said.error ? null : said);
    }

    addEventListener("message", hear);
    try {
      frameOf(target).postMessage({ ...question, message_id: id }, origin);
    } catch {
      end(null);
    }
  });
}

function frameOf(target) {
  const around = parent === window ? opener : parent;
  return target === "_parent" ? around : around.frames[target];
}

function randomId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
