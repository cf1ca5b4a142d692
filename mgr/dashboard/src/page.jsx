import { useState } from "preact/hooks";
import { logout } from "./connection.js";
import { Curves } from "./curves.jsx";
import { age, bytes, bytesParts, bytesRate, count, countParts, percent } from "./format.js";
import { Card, Figure, Meter, Squid } from "./parts.jsx";
import { Groups } from "./groups.jsx";
import { Buckets, Pools, Tree } from "./tables.jsx";

const MOODS = { HEALTH_OK: "clean", HEALTH_WARN: "degraded", HEALTH_ERR: "stuck" };

export function Page({ snapshot, history, lost, again }) {
  return (
    <>
      <Top snapshot={snapshot} lost={lost} again={again} />
      <div class="grid">
        <Health snapshot={snapshot} />
        <Capacity snapshot={snapshot} />
        <Daemons snapshot={snapshot} />
        <Card id="io" title="Client I/O" note="last five minutes" wide>
          <div class="pair">
            <Curves label="Throughput" history={history} format={bytesRate} binary series={[
              { label: "write", field: "write_bytes", colour: "--write" },
              { label: "read", field: "read_bytes", colour: "--read" },
            ]} />
            <Curves label="Operations" history={history} format={(value, round) => `${count(value, round)}/s`} series={[
              { label: "write", field: "write_ops", colour: "--write" },
              { label: "read", field: "read_ops", colour: "--read" },
            ]} />
          </div>
        </Card>
        <Card id="recovery" title="Recovery" note={snapshot.unfound > 0 ? `${count(snapshot.unfound)} objects unfound` : "last five minutes"} wide>
          <div class="pair">
            <Curves label="Copied" history={history} format={bytesRate} binary series={[
              { label: "recovery", field: "recovered_bytes", colour: "--recover" },
            ]} />
            <Curves label="Copies to mend" history={history} format={(value, round) => count(value, round)} series={[
              { label: "missing", field: "degraded", colour: "--degraded" },
              { label: "misplaced", field: "misplaced", colour: "--busy" },
            ]} />
          </div>
        </Card>
        <Tree rows={snapshot.tree} />
        <Groups snapshot={snapshot} />
        <Pools rows={snapshot.pools} />
        <Buckets rows={snapshot.buckets} />
      </div>
      <footer>ika {snapshot.version} · cluster {snapshot.cluster} · map epoch {snapshot.epoch}</footer>
    </>
  );
}

function Top({ snapshot, lost, again }) {
  const status = snapshot.health.status;
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "");
  const change = () => {
    const dark = theme ? theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    const next = dark ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    setTheme(next);
    document.dispatchEvent(new Event("theme"));
  };
  return (
    <nav>
      <h1><Squid /> ika</h1>
      <span class={`badge ${MOODS[status] ?? "unknown"}`} id="status">{status ?? "HEALTH ?"}</span>
      {snapshot.flags.map((flag) => <span class="badge unknown" key={flag}>{flag}</span>)}
      {lost && <span class="badge stuck" id="lost">connection lost, trying again</span>}
      <span class="stretch" />
      <button type="button" class="plain" onClick={change} aria-label="Light or dark">◐</button>
      <button type="button" class="plain" id="logout" onClick={() => logout().then(again)}>Sign out</button>
    </nav>
  );
}

function Health({ snapshot }) {
  const { checks, age_ms: ageMs } = snapshot.health;
  const stale = ageMs === null || ageMs > 10000;
  return (
    <Card id="health" title="Health" note={stale && ageMs !== null ? `as the monitors said ${age(ageMs)} ago` : null}>
      {snapshot.health.status === null && <p class="hint">The monitors have not answered yet.</p>}
      {snapshot.health.status !== null && checks.length === 0 && <p class="fine"><i class="dot clean" />Nothing is wrong.</p>}
      {checks.map((check) => (
        <details key={check.code} class="check">
          <summary>
            <i class={`dot ${check.muted ? "unknown" : check.severity === "HEALTH_ERR" ? "stuck" : "degraded"}`} />
            <b>{check.code}</b> <span>{check.message}{check.muted ? " (muted)" : ""}</span>
          </summary>
          <ul>
            {check.detail.map((line) => <li key={line}>{line}</li>)}
            {check.count > check.detail.length && check.detail.length > 0 && <li>… {check.count} in all</li>}
          </ul>
        </details>
      ))}
    </Card>
  );
}

function Capacity({ snapshot }) {
  const { total, used, stored, objects } = snapshot.capacity;
  return (
    <Card id="capacity" title="Capacity" note={`${bytes(total)} raw`}>
      <div class="figures">
        <Figure label="used" parts={bytesParts(used)} id="used" />
        <Figure label="stored" parts={bytesParts(stored)} />
        <Figure label="objects" parts={countParts(objects)} id="objects" />
      </div>
      <Meter part={used} whole={total} label={`${percent(used, total)} used`} />
      <p class="hint">{percent(used, total)} of raw space in use, {bytes(Math.max(0, total - used))} free</p>
    </Card>
  );
}

function Daemons({ snapshot }) {
  const osds = snapshot.tree.map((row) => row.osd).filter(Boolean);
  const up = osds.filter((osd) => osd.up).length;
  const inside = osds.filter((osd) => osd.in).length;
  const quorum = snapshot.monitors.filter((monitor) => monitor.in_quorum).length;
  const state = (bad) => (bad ? "degraded" : "clean");
  return (
    <Card id="daemons" title="Daemons">
      <dl class="daemons">
        <dt><i class={`dot ${state(up < osds.length)}`} />OSDs</dt>
        <dd id="osds"><b>{up}</b> of {osds.length} up, {inside} in</dd>
        <dt><i class={`dot ${state(quorum < snapshot.monitors.length)}`} />Monitors</dt>
        <dd>
          {snapshot.monitors.map((monitor) => (
            <span key={monitor.name} class={`chip ${monitor.in_quorum ? "" : "off"}`} title={`${monitor.address}${monitor.leads ? ", leads" : ""}`}>
              {monitor.name}{monitor.leads ? " ★" : ""}
            </span>
          ))}
        </dd>
        <dt><i class="dot clean" />Managers</dt>
        <dd>
          {snapshot.managers.map((manager) => (
            <span key={manager.name} class="chip">{manager.name}{manager.active ? " ★" : ""}</span>
          ))}
        </dd>
        <dt><i class="dot clean" />Pools</dt>
        <dd>{snapshot.pools.length}, {count(snapshot.pools.reduce((sum, pool) => sum + pool.pg_num, 0))} placement groups</dd>
      </dl>
    </Card>
  );
}
