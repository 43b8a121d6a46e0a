// What the kill loop counts, and the line that it ends with.

export interface KillCounts {
  rounds: number;
  answers: number;
  bytesWrong: number;
  purgesAcknowledged: number;
  purgesCutShort: number;
  purgesUndone: number;
  fillsCutShort: number;
  unsafeAcknowledged: number;
  unsafeUndone: number;
  flushedAsked: number;
  flushedFound: number;
  /** What lay behind the flushed position, and what came back; of lives without a purge or a reclaim. */
  recordsFlushed: number;
  recordsRecovered: number;
}

export function noCounts(): KillCounts {
  return {
    rounds: 0,
    answers: 0,
    bytesWrong: 0,
    purgesAcknowledged: 0,
    purgesCutShort: 0,
    purgesUndone: 0,
    fillsCutShort: 0,
    unsafeAcknowledged: 0,
    unsafeUndone: 0,
    flushedAsked: 0,
    flushedFound: 0,
    recordsFlushed: 0,
    recordsRecovered: 0,
  };
}

export function summaryOf(counts: KillCounts): string {
  return [
    `${counts.rounds} rounds, ${counts.answers} answers: ${counts.bytesWrong} wrong`,
    `purges ${counts.purgesAcknowledged} acknowledged, ${counts.purgesUndone} undone, ` +
      `${counts.purgesCutShort} cut short`,
    `unsafe methods ${counts.unsafeAcknowledged}, undone by a kill ${counts.unsafeUndone}`,
    `kills in mid-fill ${counts.fillsCutShort}`,
    `flushed objects found ${counts.flushedFound} of ${counts.flushedAsked}`,
    `flushed records found ${counts.recordsRecovered} of ${counts.recordsFlushed}`,
  ].join('; ');
}
