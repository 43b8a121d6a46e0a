// Which records outlive their segment. See policy.h.
#include "engine/policy.h"

#include <algorithm>

namespace millrace {

void choose_survivors(std::vector<Survivor>* records, ByteCount segment_size) {
  std::erase_if(*records, [](const Survivor& record) { return record.hits == 0; });
  const auto hotter = [](const Survivor& a, const Survivor& b) {
    return a.hits != b.hits ? a.hits > b.hits : a.entry < b.entry;
  };
  std::sort(records->begin(), records->end(), hotter);
  ByteCount left = segment_size / kReinsertionShare;
  // What does not fit any more makes room for smaller ones of the same warmth behind it.
  std::erase_if(*records, [&left](const Survivor& record) {
    if (record.length > left) return true;
    left -= record.length;
    return false;
  });
  const auto earlier = [](const Survivor& a, const Survivor& b) { return a.entry < b.entry; };
  std::sort(records->begin(), records->end(), earlier);
}

}  // namespace millrace
