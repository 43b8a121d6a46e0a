// The canonical key of a request and of a variant: one implementation for lanes and TypeScript. Pure.
//
//   primary:  scheme "://" host [":" port] target            for example http://example.com/a?b=c
//   variant:  primary "\n" name ":" value "\n" name ...       name lower case, in the head's sorted order
//
// The host is lower-cased, a trailing dot and the scheme's default port are removed; the target is taken
// as received (two different queries are two keys) except for what the route's key rules say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/siphash.h"
#include "base/status.h"
#include "base/units.h"

namespace millrace {

// What a route may change about the key. The default changes nothing.
struct KeyRules {
  enum class Query : uint8_t { keep, drop, only, without };
  Query query = Query::keep;
  std::vector<std::string> query_names;  // for only / without: byte for byte, undecoded; "utm_*": a prefix
  bool sort_query = false;               // stable sort by raw "name=value" text
  std::string host;                      // not empty: replaces host and port (mirrors share one entry)
};

struct RequestTarget {
  std::string_view scheme;  // "http" or "https"
  std::string_view host;    // Host as received, port included; IPv6 in brackets
  std::string_view target;  // origin form: "/path?query"
};

// invalid: empty or malformed host (control bytes, space, '/', '@', '?', '#', bad port, unbalanced
// bracket), a target that does not begin with '/' or holds control bytes or a space, or a key longer
// than kMaximumKeyLength.
Result<std::string> canonical_key(const RequestTarget& request, const KeyRules& rules);

struct Field {
  std::string_view name;
  std::string_view value;
};

// The part of a stored key that is the primary one.
std::string_view primary_of(std::string_view key);

// How a tag is stored in a head and in the purge journal: the same on every device, because a head is
// encoded before it is known where it goes. Never 0.
uint64_t tag_hash(std::string_view tag);

// `vary` as in HeadView ("name\0name\0"); several lines of one field are joined by ", "; white space
// around commas of the joined value is removed; an absent field is written without ':' so that absent
// matches only absent. Values of accept-encoding and accept-language are also lower-cased.
Result<std::string> variant_key(std::string_view primary, Bytes vary, std::span<const Field> fields);

// Added to a chunk's number in the name of a piece: the one run of bytes that is stored of a chunk which is
// not there as a whole.
inline constexpr uint32_t kPieceName = uint32_t{1} << 31;

// What the record of one chunk of one version of an object is called, under the device's key.
KeyHash chunk_hash(const HashKey& hash_key, const KeyHash& object, uint64_t incarnation,
                   uint32_t chunk);

}  // namespace millrace
