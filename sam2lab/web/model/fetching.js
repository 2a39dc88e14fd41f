// Brings files here and unpacks them, and says how far that is.

// The bytes of a file that is named by {url} or carried along as {base64}.
//
// Gzip is unpacked wherever it is still there: some servers have their visitors' browsers do it.
// `tell(count)` is called as bytes come.
export async function bytesOf(source, tell = () => {}) {
  const raw = source.base64 === undefined ? await download(source.url, tell) : decoded(source, tell);
  return raw[0] === 0x1f && raw[1] === 0x8b ? unpacked(raw) : raw;
}

async function download(url, tell) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} is not there: the server answered ${response.status}`);
  const parts = [];
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    tell(value.length);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

function decoded({ base64 }, tell) {
  const bytes = Uint8Array.fromBase64?.(base64) ?? Uint8Array.from(atob(base64), code);
  tell(bytes.length);
  return bytes;
}

function code(character) {
  return character.charCodeAt(0);
}

async function unpacked(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
