// Footers on their way from the device while an earlier one goes into the index, for the warmer: what the
// device and the processor need adds up otherwise. They are given out in the order in which they were asked
// for. Of one thread; completions come from the device's.
#pragma once

#include <deque>
#include <vector>

#include "base/sync.h"
#include "device/device.h"
#include "engine/aligned-buffer.h"
#include "layout/segment.h"

namespace millrace {

class FootersAhead {
 public:
  FootersAhead(Device& device, const Geometry& geometry) : device_(device), geometry_(geometry) {}
  // Waits for what is on its way.
  ~FootersAhead();

  // Asks for the entries of the footer that ends with `trailer`, which has to stay where it is until they are
  // taken. False: as much as may be is on its way; never the first.
  bool ask(const FooterTrailer& trailer);
  // Waits for the entries that were asked for first of those that were not taken.
  Result<std::vector<FooterEntry>> take();

 private:
  // Enough that a device with a queue answers one while the next is looked for, and little memory.
  static constexpr size_t kMaximumCount = 8;
  static constexpr ByteCount kMaximumBytes = 4 * kMiB;

  struct Wanted {
    Wanted(FootersAhead* owner, const FooterTrailer& ends_with, ByteCount size)
        : footers(owner), trailer(ends_with), array(size) {}
    FootersAhead* footers;
    const FooterTrailer& trailer;
    AlignedBuffer array;
    IoRequest request{};
    bool is_submitted = false;
    bool is_done = false;  // under mutex_
  };

  static void on_read(IoRequest* request);
  void wait_for(const Wanted& wanted);

  Device& device_;
  const Geometry& geometry_;
  std::deque<Wanted> wanted_;  // of the thread that asks; elements do not move
  ByteCount bytes_ = 0;
  Mutex mutex_;
  Condition condition_;
};

}  // namespace millrace
