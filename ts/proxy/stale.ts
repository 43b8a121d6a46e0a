// How long past its lifetime a response may stand in for an origin that cannot be reached, where the
// response itself does not forbid it.

/** One day: long enough for a weekend night's outage, short enough that nobody takes it for fresh. */
export const staleMaxMs = 86_400_000;
