// A pattern as a set of states that all advance with each character: one shift and two masks a word.
// See path-pattern.h.
#include "engine/path-pattern.h"

namespace millrace {

namespace {

void set_bit(auto* states, size_t bit) { (*states)[bit / 64] |= uint64_t{1} << bit % 64; }

bool has_bit(const auto& states, size_t bit) { return (states[bit / 64] >> bit % 64 & 1) != 0; }

}  // namespace

// One pass over the text of a pattern.
class PatternReader {
 public:
  PatternReader(std::string_view text, PathPattern* pattern) : text_(text), pattern_(pattern) {}

  bool read() {
    while (at_ < text_.size()) {
      if (!element()) return false;
    }
    return true;
  }

 private:
  bool element() {
    const char c = text_[at_];
    if (c == '*') return star();
    if (c == '[') return set();
    if (c == ']' || c == '{' || c == '}' || c == '?') return false;
    at_++;
    PathPattern::Characters one = {};
    one[static_cast<uint8_t>(c)] = true;
    return pattern_->add(one);
  }

  bool star() {
    const size_t end = text_.find_first_not_of('*', at_);
    const size_t length = (end == std::string_view::npos ? text_.size() : end) - at_;
    if (length > 2) return false;
    // As a whole segment it stands for directories, and the slash behind it is part of it.
    const bool begins_segment = at_ > 0 && text_[at_ - 1] == '/';
    const bool directories = length == 2 && begins_segment && text_.substr(at_ + 2, 1) == "/";
    at_ += length + (directories ? 1 : 0);
    return pattern_->add_star(length == 1, directories);
  }

  bool set() {
    const size_t close = text_.find(']', at_);
    if (close == std::string_view::npos || close == at_ + 1) return false;
    const std::string_view inside = text_.substr(at_ + 1, close - at_ - 1);
    PathPattern::Characters characters = {};
    for (size_t i = 0; i < inside.size(); i++) {
      const bool is_range = i + 2 < inside.size() && inside[i + 1] == '-';
      const auto first = static_cast<uint8_t>(inside[i]);
      const auto last = static_cast<uint8_t>(is_range ? inside[i + 2] : inside[i]);
      if (last < first || (first <= '/' && last >= '/')) return false;
      for (size_t c = first; c <= last; c++) characters[c] = true;
      if (is_range) i += 2;
    }
    at_ = close + 1;
    size_t times = 1;
    if (!repetition(&times)) return false;
    for (size_t i = 0; i < times; i++) {
      if (!pattern_->add(characters)) return false;
    }
    return true;
  }

  bool repetition(size_t* times) {
    if (at_ == text_.size() || text_[at_] != '{') return true;
    size_t number = 0;
    for (at_++; at_ < text_.size() && text_[at_] != '}'; at_++) {
      if (text_[at_] < '0' || text_[at_] > '9') return false;
      number = number * 10 + static_cast<size_t>(text_[at_] - '0');
      if (number > PathPattern::kElements) return false;
    }
    if (at_ == text_.size() || number == 0) return false;
    at_++;
    *times = number;
    return true;
  }

  const std::string_view text_;
  PathPattern* const pattern_;
  size_t at_ = 0;
};

Result<PathPattern> PathPattern::compile(std::string_view text) {
  PathPattern pattern;
  if (!PatternReader(text, &pattern).read()) {
    return Status(Code::invalid, "not a pattern of paths, or one of too many elements");
  }
  return pattern;
}

bool PathPattern::add(const Characters& characters) {
  if (count_ == kElements) return false;
  for (size_t c = 0; c < characters.size(); c++) {
    if (characters[c]) set_bit(&leaving_[c], count_);
  }
  count_++;
  return true;
}

bool PathPattern::add_star(bool within_segment, bool is_directories) {
  if (count_ == kElements) return false;
  set_bit(&staying_, count_);
  set_bit(&passable_, count_);
  if (within_segment) set_bit(&within_segment_, count_);
  if (is_directories) {
    set_bit(&directories_, count_);
    set_bit(&leaving_['/'], count_);
  }
  count_++;
  return true;
}

// What may match nothing is passed as soon as it is reached.
void PathPattern::pass(States* states) const {
  for (bool is_new = true; is_new;) {
    is_new = false;
    uint64_t carried = 0;
    for (size_t word = 0; word < states->size(); word++) {
      const uint64_t left = (*states)[word] & passable_[word];
      const uint64_t reached = (left << 1 | carried) & ~(*states)[word];
      carried = left >> 63;
      (*states)[word] |= reached;
      is_new = is_new || reached != 0;
    }
  }
}

bool PathPattern::matches(std::string_view path) const {
  States now = {};
  set_bit(&now, 0);
  pass(&now);
  for (const char c : path) {
    const States& leaving = leaving_[static_cast<uint8_t>(c)];
    States next = {};
    States directories = {};
    uint64_t carried = 0;
    uint64_t any = 0;
    for (size_t word = 0; word < now.size(); word++) {
      const uint64_t left = now[word] & leaving[word];
      const uint64_t staying = c == '/' ? staying_[word] & ~within_segment_[word] : staying_[word];
      const uint64_t stayed = now[word] & staying;
      directories[word] = stayed & directories_[word];
      next[word] = left << 1 | carried | (stayed & ~directories_[word]);
      carried = left >> 63;
      any |= next[word] | directories[word];
    }
    if (any == 0) return false;
    pass(&next);
    // In the middle of a directory's name: not to be passed as one that was just reached.
    for (size_t word = 0; word < now.size(); word++) now[word] = next[word] | directories[word];
  }
  return has_bit(now, count_);
}

}  // namespace millrace
