// @ts-check
// Client of the HTTP API (docs/api.md): requests, uploads by ranges, server-sent events.

import { t, errorText } from './text.js';

const BASE = '/api/v1';
/** Bytes of one range of an upload: small enough for a smooth progress bar. */
const RANGE = 4 << 20;
/** Maximum number of attempts to send one range. */
const TRIES = 6;

/** Error response of the API. */
export class ApiError extends Error {
  /** @param {number} status @param {{code?: string, message?: string, field?: string, received?: number}} error */
  constructor(status, error) {
    super(error.message ? errorText(error) : `HTTP ${status}`);
    this.status = status;
    this.code = error.code ?? '';
    this.field = error.field;
    this.received = error.received;
  }
}

/** Returns the URL of an API path. @param {string} path */
export const url = (path) => BASE + path;

/**
 * Sends a request and returns the JSON body of the response, null for 204; throws ApiError.
 * @param {string} method @param {string} path @param {any} [body]
 * @returns {Promise<any>}
 */
export async function call(method, path, body) {
  const json = body !== undefined;
  const answer = await fetch(url(path), {
    method,
    headers: json ? { 'Content-Type': 'application/json' } : {},
    body: json ? JSON.stringify(body) : undefined,
  });
  return read(answer);
}

/** Returns the JSON body of a response, null for 204; throws ApiError. @param {Response} answer */
async function read(answer) {
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new ApiError(answer.status, body.error ?? {});
  return body;
}

/** Sends a file by ranges from `upload.received` on; resumes when a connection breaks. `progress` gets fractions from 0 to 1.
 * @param {File} file @param {{id: string, received: number}} upload
 * @param {(fraction: number) => void} progress @param {AbortSignal} signal
 */
export async function send(file, upload, progress, signal) {
  let [received, tries] = [upload.received, 0];
  while (received < file.size) {
    signal.throwIfAborted();
    try {
      received = await sendRange(upload.id, file, received, signal);
      tries = 0;
    } catch (error) {
      await assertReadable(file);
      received = await resumeOffset(error, upload.id, ++tries, signal);
    }
    progress(received / file.size);
  }
}

/** Throws if the browser cannot read the file: a folder, or a file that was moved or changed since it was chosen. @param {File} file */
export async function assertReadable(file) {
  await file.slice(0, 1).arrayBuffer().catch(() => { throw new ApiError(0, { code: 'unreadable_here', message: t('unreadable_here') }); });
}

/** Deletes an upload; tries again while an aborted request still writes it. @param {string} id */
export async function deleteUpload(id) {
  for (let tries = 0; tries < 8; tries += 1) {
    try {
      return await call('DELETE', `/uploads/${id}`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 'busy') return;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** tries));
    }
  }
}

/** Sends one range of a file and returns the number of received bytes. @param {string} id @param {File} file @param {number} from @param {AbortSignal} signal */
async function sendRange(id, file, from, signal) {
  const to = Math.min(from + RANGE, file.size);
  const answer = await fetch(url(`/uploads/${id}`), {
    method: 'PUT',
    signal,
    headers: { 'Content-Type': 'application/octet-stream', 'Content-Range': `bytes ${from}-${to - 1}/${file.size}` },
    body: file.slice(from, to),
  });
  return (await read(answer)).received;
}

/** Waits with exponential backoff and returns the offset to resume at; throws errors that cannot be retried. @param {any} error @param {string} id @param {number} tries @param {AbortSignal} signal */
async function resumeOffset(error, id, tries, signal) {
  const hopeless = error instanceof ApiError && error.status < 500 && error.code !== 'upload_offset' && error.code !== 'busy';
  if (hopeless || signal.aborted || tries > TRIES) throw error;
  await new Promise((resolve) => setTimeout(resolve, 400 * 2 ** tries));
  return (await call('GET', `/uploads/${id}`).catch(() => ({ received: error.received ?? 0 }))).received;
}

/** Milliseconds without an event after which the server is checked, and timeout of that check. */
const [SILENCE_MS, HEALTH_TIMEOUT_MS] = [15_000, 8000];

/** Subscribes to the events of all jobs, and reports whether the server is reachable.
 * @param {(type: string, data: any) => void} onEvent @param {(up: boolean) => void} onConnection
 */
export function listen(onEvent, onConnection) {
  let last = Date.now();
  // A dead connection may not be reported, such as one to a machine that sleeps.
  setInterval(async () => {
    if (Date.now() - last < SILENCE_MS) return;
    const alive = await fetch(url('/health'), { signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) }).then(() => true, () => false);
    if (alive) last = Date.now();
    onConnection(alive);
  }, SILENCE_MS / 3);
  subscribe((type, data) => {
    last = Date.now();
    onEvent(type, data);
  }, onConnection);
}

/** Opens the event stream, again after 3 s if the server closes it. @param {(type: string, data: any) => void} onEvent @param {(up: boolean) => void} onConnection */
function subscribe(onEvent, onConnection) {
  const source = new EventSource(url('/events'));
  for (const type of ['job', 'progress', 'queue', 'deleted']) {
    source.addEventListener(type, (event) => onEvent(type, JSON.parse(/** @type {MessageEvent} */ (event).data)));
  }
  source.addEventListener('open', () => onConnection(true));
  source.addEventListener('error', () => {
    onConnection(false);
    // After an error response the browser does not reconnect.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => subscribe(onEvent, onConnection), 3000);
  });
}
