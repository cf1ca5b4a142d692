// Tables: the CRUSH hierarchy with its OSDs, pools, S3 buckets.
import { Card, Meter } from "./parts.jsx";
import { bytes, bytesRate, count, percent } from "./format.js";

export function Tree({ rows }) {
  return (
    <Card id="tree" title="CRUSH tree">
      <div class="scroll">
        <table>
          <thead>
            <tr><th>Name</th><th>State</th><th class="fill">Fill</th><th class="number">Size</th><th class="number">PGs</th><th class="number">Commit</th></tr>
          </thead>
          <tbody>
            {rows.map((row, place) => (row.osd ? <Osd key={place} row={row} /> : (
              <tr key={place} class="bucket">
                <td colspan="6"><span style={{ paddingLeft: `${row.depth * 1.1}rem` }}>{row.name} <em>{row.kind}</em></span></td>
              </tr>
            )))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function Osd({ row }) {
  const { osd } = row;
  const mood = osd.up ? (osd.in ? "clean" : "busy") : "stuck";
  return (
    <tr data-osd={osd.id} data-up={String(osd.up)}>
      <td><span style={{ paddingLeft: `${row.depth * 1.1}rem` }}>{row.name} {osd.class && <em>{osd.class}</em>}</span></td>
      <td><span class={`badge small ${mood}`}>{osd.up ? "up" : "down"}{osd.in ? "" : ", out"}</span>{osd.slow_ops > 0 && <span class="badge small degraded">{osd.slow_ops} slow</span>}</td>
      <td class="fill"><Meter part={osd.used} whole={osd.total} label={percent(osd.used, osd.total)} /> {percent(osd.used, osd.total)}</td>
      <td class="number">{bytes(osd.total)}</td>
      <td class="number">{count(osd.pgs)}</td>
      <td class="number">{osd.up ? `${(osd.commit_us / 1000).toFixed(1)} ms` : "–"}</td>
    </tr>
  );
}

export function Pools({ rows }) {
  return (
    <Card id="pools" title="Pools" note={count(rows.length)} wide>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th>Name</th><th>Copies</th><th class="number">PGs</th><th class="number">Objects</th><th class="number">Stored</th>
              <th class="fill">Used</th><th class="number">Write</th><th class="number">Read</th><th class="number">Ops</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((pool) => (
              <tr key={pool.id}>
                <td><i class={`dot ${pool.unclean > 0 ? "degraded" : "clean"}`} title={pool.unclean > 0 ? `${pool.unclean} groups are not clean` : "all groups are clean"} />{pool.name}</td>
                <td>{pool.size} <em>min {pool.min_size}</em></td>
                <td class="number">{count(pool.pg_num)}</td>
                <td class="number">{count(pool.objects)}</td>
                <td class="number">{bytes(pool.stored)}</td>
                <td class="fill"><Meter part={pool.stored} whole={pool.stored + pool.available} label={percent(pool.stored, pool.stored + pool.available)} /> {percent(pool.stored, pool.stored + pool.available)}</td>
                <td class="number">{bytesRate(pool.rates.write_bytes)}</td>
                <td class="number">{bytesRate(pool.rates.read_bytes)}</td>
                <td class="number">{count(pool.rates.write_ops + pool.rates.read_ops)}/s</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

export function Buckets({ rows }) {
  return (
    <Card id="buckets" title="S3 buckets" note={rows ? count(rows.length) : null} wide>
      {rows === null && <p class="hint">Looking …</p>}
      {rows?.length === 0 && <p class="hint">None yet.</p>}
      {rows?.length > 0 && (
        <div class="scroll">
          <table>
            <thead><tr><th>Name</th><th>Owner</th><th class="number">Objects</th><th class="number">Size</th><th>Made</th></tr></thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.name}>
                  <td>{row.name}</td><td>{row.owner}</td><td class="number">{count(row.objects)}</td>
                  <td class="number">{bytes(row.bytes)}</td><td>{new Date(row.created_ms).toISOString().slice(0, 10)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}
