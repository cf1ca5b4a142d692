import "uplot/dist/uPlot.min.css";
import "./dashboard.css";
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { follow } from "./connection.js";
import { Login } from "./login.jsx";
import { Page } from "./page.jsx";

function App() {
  const [state, setState] = useState({ phase: "waiting" });
  const again = useRef(null);
  useEffect(() => {
    again.current = follow(setState);
  }, []);
  if (state.phase === "out") return <Login done={() => again.current()} />;
  if (!state.snapshot) return <p class="waiting">{state.lost ? "The manager does not answer. Trying again …" : "Loading …"}</p>;
  return <Page {...state} again={() => again.current()} />;
}

render(<App />, document.getElementById("page"));
