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
  return collected(response.body, tell);
}

function decoded({ base64 }, tell) {
  const bytes = Uint8Array.fromBase64?.(base64) ?? Uint8Array.from(atob(base64), code);
  tell(bytes.length);
  return bytes;
}

function code(character) {
  return character.charCodeAt(0);
}

function unpacked(bytes) {
  return collected(new Response(bytes).body.pipeThrough(new DecompressionStream("gzip")));
}

// All bytes of a stream. A Blob would do this, too, by way of another process.
async function collected(stream, tell = () => {}) {
  const [parts, reader] = [[], stream.getReader()];
  let size = 0;
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    parts.push(value);
    size += value.length;
    tell(value.length);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
