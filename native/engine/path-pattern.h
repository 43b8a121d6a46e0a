// Patterns of paths, for routes that a prefix cannot tell apart. `*` stands for any characters within one
// segment, `**` for any at all, `**/` also for no directory, `[0-9a-f]` for one character of a set and
// `[0-9a-f]{40}` for forty of them; everything else for itself. Matching costs the same few operations for
// each character of the path, whatever the path is: clients choose it. Immutable; callable from any thread.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace millrace {

class PathPattern {
 public:
  // Elements of a pattern, those that `{n}` repeats counted n times.
  static constexpr size_t kElements = 255;

  // Matches the empty path.
  PathPattern() : leaving_(256) {}

  // Code invalid where the text is not a pattern, or has too many elements.
  static Result<PathPattern> compile(std::string_view text);

  // The whole path, as received.
  bool matches(std::string_view path) const;

 private:
  friend class PatternReader;

  // Bit i: the first i elements have matched.
  using States = std::array<uint64_t, (kElements + 64) / 64>;
  using Characters = std::array<bool, 256>;

  bool add(const Characters& characters);
  bool add_star(bool within_segment, bool is_directories);
  void pass(States* states) const;

  size_t count_ = 0;
  std::vector<States> leaving_;  // by character: the elements that it can be the (last) one of
  States staying_ = {};          // elements that may take any character and go on
  States within_segment_ = {};   // of these, those that stop at a slash
  States passable_ = {};         // elements that may match nothing
  States directories_ = {};      // `**/`: nothing, or anything that ends with a slash
};

}  // namespace millrace
