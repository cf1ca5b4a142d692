// Placement groups: a square each, in the colour of its state.
import { Card } from "./parts.jsx";
import { count } from "./format.js";

const WORST_FIRST = ["stuck", "unknown", "degraded", "busy", "clean"];

export function Groups({ snapshot }) {
  const states = [...snapshot.states].sort((one, other) => WORST_FIRST.indexOf(one.mood) - WORST_FIRST.indexOf(other.mood) || other.count - one.count);
  const sum = states.reduce((all, state) => all + state.count, 0);
  return (
    <Card id="groups" title="Placement groups" note={count(sum)}>
      <ul class="states">
        {states.map((state) => (
          <li key={state.name}><i class={`dot ${state.mood}`} /><b>{count(state.count)}</b> {state.name}</li>
        ))}
      </ul>
      {snapshot.grid === null
        ? <p class="hint">Too many to draw one by one.</p>
        : snapshot.pools.map((pool, place) => (
            <div class="squares" key={pool.id}>
              <span title={pool.name}>{pool.name}</span>
              <div>
                {snapshot.grid[place]?.map((state, seed) => (
                  <i key={seed} class={snapshot.states[state].mood} title={`${pool.id}.${seed.toString(16)} ${snapshot.states[state].name}`} />
                ))}
              </div>
            </div>
          ))}
      {snapshot.unclean.length > 0 && (
        <details class="check">
          <summary>Groups that need care: {count(snapshot.unclean_count)}</summary>
          <div class="scroll">
            <table>
              <thead><tr><th>PG</th><th>State</th><th>Acting</th><th class="number">Missing</th><th class="number">Misplaced</th></tr></thead>
              <tbody>
                {snapshot.unclean.map((row) => (
                  <tr key={row.pg}>
                    <td>{row.pg}</td><td>{row.state}</td><td>{row.acting.join(", ")}</td>
                    <td class="number">{count(row.degraded)}</td><td class="number">{count(row.misplaced)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </details>
      )}
    </Card>
  );
}
