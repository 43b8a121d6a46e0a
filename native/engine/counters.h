// Every counter of one store, raised by whichever thread does the work and read by stats(). Relaxed atomics:
// a reader may see one counter a moment before another.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace {

struct Counters {
  using Count = std::atomic<uint64_t>;

  Count lookups{0};
  Count memory_hits{0};
  Count disk_hits{0};
  Count misses{0};
  Count looks_again{0};        // look-ups repeated because reclaim had moved the record meanwhile
  Count device_reads{0};
  Count device_read_bytes{0};
  Count reads_under_way{0};    // goes down again
  Count prefetched_bytes{0};   // read before anybody asked
  Count prefetch_used_bytes{0};    // of these, asked for later
  Count prefetch_wasted_bytes{0};  // of these, given up unread
  Count prefetch_off{0};           // times that reading ahead was found useless and left for a while
  Count read_errors{0};
  Count corrupt_records{0};
  Count false_positives{0};
  Count records_appended{0};   // published in the index
  Count records_flushed{0};    // of these, wholly on the device
  Count admitted_bytes{0};     // bodies and heads of appended records
  Count stored_bytes{0};       // the same as they lie on the device, bodies compressed or not
  Count lz4_blocks{0};         // compressed
  Count lz4_blocks_kept_raw{0};  // of a compressed body, but no shorter that way
  Count lz4_bytes_before{0};   // bodies that were compressed
  Count lz4_bytes_after{0};
  Count lz4_skipped_by_type{0};    // blocks: coded, or of a kind that never shrinks
  Count lz4_skipped_by_sample{0};  // blocks: the body does not shrink by an eighth
  Count lz4_skipped_small{0};      // blocks: the record would occupy no grain less
  Count device_writes{0};
  Count device_written_bytes{0};
  Count write_errors{0};
  Count writes_dropped{0};     // records refused because the disk tier was behind or off
  Count segments_sealed{0};
  Count segments_reclaimed{0};
  Count reinserted_records{0};
  Count reinserted_bytes{0};      // of the device, headers and padding included
  Count reinsertions_dropped{0};  // survivors given up because the write head needed their segment
  Count reclaim_read_bytes{0};    // survivors; footers are not counted
  Count segments_skipped{0};   // still pinned when their turn came
  Count scrubbed_bytes{0};      // read by the scrub
  Count scrub_damaged{0};       // records and footers that it found damaged
  Count scrub_passes{0};        // whole ones
  Count fills{0};
  Count fills_admitted{0};      // to the disk
  Count fills_refused{0};       // by the ghost: a first miss
  Count dropped_overload{0};    // of writes_dropped: staging was full
  Count dropped_errors{0};      // of writes_dropped: writing is off
  Count dropped_pages{0};       // heads and bodies that found no page to be published from
  Count purges{0};
  Count purges_unsafe{0};           // of these, by methods and findings that nobody asked to purge
  Count purges_unknown{0};          // of these, of keys of which nothing is stored: nothing was written
  Count purges_not_durable{0};      // of these, without room in the tables: they hold until a restart
  Count purges_failed{0};           // answered with an error: the journal could not be written
  Count purge_journal_blocks{0};    // written
  Count purge_journal_changes{0};   // of halves
  Count purge_journal_damaged{0};   // places where acknowledged purges were lost: more was purged instead
  Count recovered_records{0};
  Count recovered_segments{0};
  Count recovery_ms{0};  // until the ring was known
  Count warming_ms{0};   // from then until every footer was loaded

  static void add(Count& counter, uint64_t amount = 1) {
    counter.fetch_add(amount, std::memory_order_relaxed);
  }
};

}  // namespace millrace
