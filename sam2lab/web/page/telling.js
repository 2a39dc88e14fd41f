// What the page says: progress, a line about what is there, and errors.

const $ = (id) => document.getElementById(id);

// Show that something takes a while; `share` is from 0 to 1, or null where nobody knows.
export function tellProgress(text, share = null) {
  $("progress").hidden = text === null;
  $("progress-text").textContent = text ?? "";
  const bar = $("progress").querySelector("progress");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

export function tellStatus(text) {
  // A screen reader says what changes.
  if ($("status").textContent !== text) $("status").textContent = text;
}

// Say what went wrong and what to do, or with null that all is well.
export function tellError(error) {
  $("alert").hidden = error === null;
  $("alert").textContent = error === null ? "" : kind(String(error.message ?? error));
  if (error !== null) tellProgress(null);
}

// An error of the browser or of the library, in words.
function kind(message) {
  if (/memory|allocat|bad_alloc/i.test(message)) {
    return "The browser has no memory left for the model. Close other pages, and load this one again.";
  }
  if (/fetch|network|load failed/i.test(message)) {
    return "A part of the page could not be loaded. Are you connected? Load the page again.";
  }
  if (/wasm|WebAssembly/i.test(message)) {
    return `This browser does not run WebAssembly as the model needs it: ${message}. Try a newer one.`;
  }
  if (/is not (defined|a function|a constructor)/.test(message)) {
    return `This browser lacks something that the page needs: ${message}. Try a newer one.`;
  }
  return message;
}
