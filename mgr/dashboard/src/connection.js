// The page's one conversation with the manager: who is signed in, and the stream of snapshots.

const SILENCE_MAX_MS = 6000;
const AGAIN_MS = 2000;
const POINTS_MAX = 900;

async function ask(path, options) {
  return fetch(path, { cache: "no-store", credentials: "same-origin", ...options });
}

const json = (body) => ({ method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** Signs in; the manager's sentence when it refuses. */
export async function login(password) {
  const answer = await ask("api/login", json({ password }));
  return answer.ok ? null : (await answer.json()).message;
}

export const logout = () => ask("api/logout", json({}));

/** Whether a session lasts; goes to another manager when that one works. */
async function session() {
  try {
    const answer = await ask("api/session");
    const { state, active } = await answer.json();
    if (state === "standby" && active) window.location.assign(active);
    return state === "standby" ? "waiting" : state;
  } catch {
    return "waiting";
  }
}

/**
 * Follows the cluster. `tell` hears { phase: "waiting" | "out" | "live", snapshot, history, lost }.
 * Answers a function that begins anew, after signing in say.
 */
export function follow(tell) {
  let source = null;
  let heard = 0;
  let state = { phase: "waiting", snapshot: null, history: [], lost: false };
  const put = (change) => tell((state = { ...state, ...change }));

  function close() {
    source?.close();
    source = null;
  }

  async function open() {
    close();
    const phase = await session();
    if (phase === "out") return put({ phase: "out", snapshot: null, history: [], lost: false });
    if (phase === "waiting") {
      put({ lost: true });
      return;
    }
    heard = Date.now();
    source = new EventSource("api/events");
    source.addEventListener("history", (event) => {
      heard = Date.now();
      put({ history: JSON.parse(event.data) });
    });
    source.addEventListener("snapshot", (event) => {
      heard = Date.now();
      const snapshot = JSON.parse(event.data);
      const history = state.history.filter((point) => point.at_ms < snapshot.io.at_ms).slice(1 - POINTS_MAX);
      put({ phase: "live", lost: false, snapshot, history: [...history, snapshot.io] });
    });
    // The browser tries again by itself, but not after a refusal; the timer below sees to both.
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) close();
    });
  }

  setInterval(() => {
    if (state.phase === "out") return;
    if (!source || Date.now() - heard > SILENCE_MAX_MS) {
      put({ lost: true });
      open();
    }
  }, AGAIN_MS);
  open();
  return open;
}
