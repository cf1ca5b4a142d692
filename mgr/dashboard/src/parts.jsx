// Small parts that several cards use.

export const Squid = () => <img class="squid" src="icon.svg" alt="" width="22" height="22" />;

export function Card({ id, title, note, wide, children }) {
  return (
    <section class={`card ${wide ? "wide" : ""}`} id={id} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {note && <span class="note">{note}</span>}
      </header>
      {children}
    </section>
  );
}

/** A share of something, with marks where it becomes a matter. */
export function Meter({ part, whole, label }) {
  const share = whole > 0 ? Math.min(1, part / whole) : 0;
  const mood = share >= 0.95 ? "stuck" : share >= 0.85 ? "degraded" : "clean";
  return (
    <span class={`meter ${mood}`} role="img" aria-label={label}>
      <span style={{ width: `${(100 * share).toFixed(1)}%` }} />
    </span>
  );
}

export function Figure({ label, parts, id }) {
  return (
    <div class="figure" id={id}>
      <b>{parts[0]}<small>{parts[1]}</small></b>
      <span>{label}</span>
    </div>
  );
}
