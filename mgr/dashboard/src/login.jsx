import { useState } from "preact/hooks";
import { login } from "./connection.js";
import { Squid } from "./parts.jsx";

export function Login({ done }) {
  const [refusal, setRefusal] = useState(null);
  const [busy, setBusy] = useState(false);
  async function submit(event) {
    event.preventDefault();
    const password = new FormData(event.target).get("password");
    setBusy(true);
    try {
      const sentence = await login(password);
      setRefusal(sentence);
      if (!sentence) done();
    } catch {
      setRefusal("the manager does not answer");
    }
    setBusy(false);
  }
  return (
    <form class="login card" onSubmit={submit}>
      <h1><Squid /> ika</h1>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required autofocus />
      <button type="submit" disabled={busy}>{busy ? "Signing in …" : "Sign in"}</button>
      <p class="refusal" role="alert">{refusal}</p>
      <p class="hint">Set by <code>ika dashboard password</code>.</p>
    </form>
  );
}
