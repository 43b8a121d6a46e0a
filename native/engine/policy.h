// What the disk tier keeps, in one place: every constant of admission and reclaim with its reason, and the
// decisions as pure functions. The engine and the policy report (native/bench/policy-bench) call the same
// ones. Pure; callable from any thread. Figures are in docs/decisions/.
#pragma once

#include <vector>

#include "base/units.h"

namespace millrace {

// --- admission -------------------------------------------------------------------------------------------

// Share of index_memory_limit that the ghost may take. At 12 bits a key an eighth of the memory remembers
// three quarters as many refused objects as the rest of it indexes records.
inline constexpr ByteCount kGhostShare = 8;
// Smaller mean objects than this would let the ghost forget before the ring has gone round once.
inline constexpr ByteCount kGhostBytesPerObject = 16 * kKiB;

// How many refused keys the ghost remembers for so many records on the disk: as long as a record stays there,
// about, and no longer. What is missed again after that would not be asked for a third time before it has to
// go: with a ghost of one lap of 16 KiB objects a cache of 2 % writes five times as much for 6 points more of
// misses (`millrace-bench policy`). Not below some hundred, lest a false positive weigh.
inline constexpr uint64_t kFewestGhostKeys = 256;
constexpr uint64_t ghost_keys(uint64_t records) {
  const uint64_t wanted = records / 4 * 3;
  return wanted > kFewestGhostKeys ? wanted : kFewestGhostKeys;
}

struct AdmissionView {
  uint32_t free_segments = 0;
  uint32_t clean_ahead = 0;   // segments that reclaim keeps free in a ring that has gone round
  bool is_indexed = false;    // the disk holds an older version of the key
  bool was_refused = false;   // the ghost remembers an earlier miss
};

// Free segments beyond those that reclaim keeps were never used in this lap: what is written there displaces
// nothing. After that a first miss is not worth a write. An object of which the disk holds an older version
// is written whatever the ghost says, so that the old one does not come back when memory forgets the new.
constexpr bool admits(const AdmissionView& view) {
  return view.free_segments > view.clean_ahead || view.is_indexed || view.was_refused;
}

// --- reclaim ---------------------------------------------------------------------------------------------

// Bytes that are kept clean in front of the write head, so that it does not wait for reclaim: about a second
// of writing to a SATA SSD. Two segments at least, so that a segment's survivors are on the device before
// the write head can reach the segment they came from; a sixteenth of the ring at most.
inline constexpr ByteCount kCleanAhead = 128 * kMiB;
inline constexpr uint32_t kMinimumCleanSegments = 2;
inline constexpr uint32_t kMaximumCleanShare = 16;

constexpr uint32_t clean_segments_ahead(uint32_t segment_count, ByteCount segment_size) {
  const auto wanted = static_cast<uint32_t>(kCleanAhead / segment_size);
  const uint32_t most = segment_count / kMaximumCleanShare;
  const uint32_t bounded = wanted < most ? wanted : most;
  return bounded > kMinimumCleanSegments ? bounded : kMinimumCleanSegments;
}

// Reinsertion may take half of a segment. With more, a ring whose records are all warm would write mostly
// its own old records, and new ones would wait for them.
inline constexpr uint32_t kReinsertionShare = 2;
// Hits that a record starts its next lap with. Two bits are counted, one is used: letting them fade over
// several laps writes 6 % more for one point of hit ratio.
inline constexpr uint32_t kHitsAfterReinsertion = 0;

// How long the write head, once per segment, lets survivors go first when no clean segment is left. Staging
// takes what comes meanwhile; after it new records go on, and then the survivors are given up.
inline constexpr uint64_t kReclaimPatienceMs = 200;

// A read holds its pin for one device read. Longer than this is a stuck device or a thread that does not
// run; the ring goes on without the segment.
inline constexpr uint64_t kPinWaitMs = 5000;

// A record of the segment that is being reclaimed and to which the index still leads.
struct Survivor {
  uint32_t entry = 0;       // its place in the footer
  uint32_t hits = 0;        // since it was written
  ByteCount length = 0;     // on the device
};

// Leaves in `records` what is to be written again, in the order of the footer: records that were hit, the
// hottest first until half of a segment is used up.
void choose_survivors(std::vector<Survivor>* records, ByteCount segment_size);

}  // namespace millrace
