// Canonical keys. See key.h.
#include "layout/key.h"

#include "base/endian.h"

#include <algorithm>

#include "base/siphash.h"
#include "layout/record.h"

namespace millrace {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) {
  const char l = lower(c);
  return is_digit(c) || (l >= 'a' && l <= 'f');
}

// Bytes of a registered name (RFC 3986 section 3.2.2), percent and sub-delimiters included; bytes above
// 0x7f are refused.
bool is_host_byte(char c) {
  const char l = lower(c);
  if (is_digit(c) || (l >= 'a' && l <= 'z')) return true;
  return std::string_view("-._~%!$&'()*+,;=").find(c) != std::string_view::npos;
}

struct Authority {
  std::string host;
  std::string port;  // empty: the scheme's default
};

Status parse_port(std::string_view text, std::string_view scheme, std::string* port) {
  if (text.empty()) return Status();  // "host:" means the default (RFC 3986 section 3.2.3)
  if (text.size() > 5) return Status(Code::invalid, "the port is too long");
  uint32_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return Status(Code::invalid, "the port is not a number");
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  if (value == 0 || value > 65535) return Status(Code::invalid, "the port is out of range");
  if (value != (scheme == "https" ? 443u : 80u)) *port = std::to_string(value);
  return Status();
}

Result<Authority> parse_authority(std::string_view text, std::string_view scheme) {
  Authority authority;
  std::string_view host = text;
  std::string_view port;
  if (!text.empty() && text.front() == '[') {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return Status(Code::invalid, "the host's bracket is open");
    host = text.substr(0, end + 1);
    for (const char c : host.substr(1, host.size() - 2)) {
      if (!is_hex(c) && c != ':' && c != '.') {
        return Status(Code::invalid, "the host's IPv6 address is malformed");
      }
    }
    if (host.size() < 4) return Status(Code::invalid, "the host's IPv6 address is malformed");
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') {
      return Status(Code::invalid, "the host has bytes behind its bracket");
    }
    if (!rest.empty()) port = rest.substr(1);
  } else {
    const size_t colon = text.find(':');
    if (colon != std::string_view::npos) {
      host = text.substr(0, colon);
      port = text.substr(colon + 1);
    }
    if (!host.empty() && host.back() == '.') host.remove_suffix(1);
    for (const char c : host) {
      if (!is_host_byte(c)) return Status(Code::invalid, "the host holds a byte that no name has");
    }
  }
  if (host.empty()) return Status(Code::invalid, "the host is empty");
  for (const char c : host) authority.host.push_back(lower(c));
  const Status status = parse_port(port, scheme, &authority.port);
  if (!status.ok()) return status;
  return authority;
}

bool names(std::string_view pattern, std::string_view name) {
  if (pattern.empty() || pattern.back() != '*') return name == pattern;
  return name.substr(0, pattern.size() - 1) == pattern.substr(0, pattern.size() - 1);
}

bool selects(const KeyRules& rules, std::string_view pair) {
  const std::string_view name = pair.substr(0, pair.find('='));
  const bool listed = std::any_of(rules.query_names.begin(), rules.query_names.end(),
                                  [name](std::string_view pattern) { return names(pattern, name); });
  return listed == (rules.query == KeyRules::Query::only);
}

std::string query_of(std::string_view query, const KeyRules& rules) {
  std::vector<std::string_view> pairs;
  for (size_t at = 0; at <= query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string_view pair = query.substr(at, end - at);
    at = end + 1;
    if (rules.query == KeyRules::Query::keep || selects(rules, pair)) pairs.push_back(pair);
  }
  if (rules.sort_query) std::stable_sort(pairs.begin(), pairs.end());
  std::string out;
  for (size_t i = 0; i < pairs.size(); i++) {
    if (i > 0) out.push_back('&');
    out.append(pairs[i]);
  }
  return out;
}

std::string target_of(std::string_view target, const KeyRules& rules) {
  if (rules.query == KeyRules::Query::keep && !rules.sort_query) return std::string(target);
  const size_t question = target.find('?');
  std::string out(target.substr(0, question));
  if (question == std::string_view::npos || rules.query == KeyRules::Query::drop) return out;
  const std::string query = query_of(target.substr(question + 1), rules);
  if (!query.empty()) {
    out.push_back('?');
    out.append(query);
  }
  return out;
}

bool same_name(std::string_view received, std::string_view lower_case) {
  if (received.size() != lower_case.size()) return false;
  for (size_t i = 0; i < received.size(); i++) {
    if (lower(received[i]) != lower_case[i]) return false;
  }
  return true;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// Adds one field line to a joined value: white space around commas and at the ends goes away, a comma and
// a space separate lines. Commas inside quoted strings are data.
void append_line(std::string_view line, bool fold_case, std::string* out) {
  bool quoted = false;
  for (size_t i = 0; i < line.size(); i++) {
    const char c = line[i];
    if (quoted) {
      out->push_back(c);
      if (c == '\\' && i + 1 < line.size()) {
        out->push_back(line[++i]);
      } else if (c == '"') {
        quoted = false;
      }
      continue;
    }
    if (c == ',') {
      while (!out->empty() && is_blank(out->back())) out->pop_back();
      out->append(", ");
      while (i + 1 < line.size() && is_blank(line[i + 1])) i++;
      continue;
    }
    if (c == '"') quoted = true;
    out->push_back(fold_case ? lower(c) : c);
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

Result<std::string> canonical_key(const RequestTarget& request, const KeyRules& rules) {
  if (request.scheme != "http" && request.scheme != "https") {
    return Status(Code::invalid, "the scheme is neither http nor https");
  }
  if (request.target.empty() || request.target.front() != '/') {
    return Status(Code::invalid, "the request target does not begin with '/'");
  }
  for (const char c : request.target) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte <= ' ' || byte == 0x7f) {
      return Status(Code::invalid, "the request target holds a control byte or a space");
    }
  }
  const Result<Authority> authority =
      parse_authority(rules.host.empty() ? request.host : rules.host, request.scheme);
  if (!authority.ok()) return authority.status();
  std::string key(request.scheme);
  key.append("://").append(authority.value().host);
  if (!authority.value().port.empty()) key.append(":").append(authority.value().port);
  key.append(target_of(request.target, rules));
  if (key.size() > kMaximumKeyLength) {
    return Status(Code::invalid, "the URL is longer than a cache key may be (16 KiB)");
  }
  return key;
}

uint64_t tag_hash(std::string_view tag) {
  // Not secret: an origin that makes two tags collide has only its own objects purged.
  constexpr HashKey kTagKey{'m', 'i', 'l', 'l', 'r', 'a', 'c', 'e', ' ', 't', 'a', 'g', ' ', 'k', 'e', 'y'};
  const uint64_t hash =
      siphash_128(kTagKey, Bytes(reinterpret_cast<const uint8_t*>(tag.data()), tag.size())).low;
  return hash == 0 ? 1 : hash;
}

std::string_view primary_of(std::string_view key) { return key.substr(0, key.find('\n')); }

Result<std::string> variant_key(std::string_view primary, Bytes vary, std::span<const Field> fields) {
  std::string key(primary);
  const std::string_view names(reinterpret_cast<const char*>(vary.data()), vary.size());
  for (size_t at = 0; at < names.size();) {
    const size_t end = names.find('\0', at);
    if (end == std::string_view::npos || end == at) {
      return Status(Code::invalid, "a list of Vary names is malformed");
    }
    const std::string_view name = names.substr(at, end - at);
    at = end + 1;
    const bool fold_case = name == "accept-encoding" || name == "accept-language";
    bool present = false;
    std::string value;
    for (const Field& field : fields) {
      if (!same_name(field.name, name)) continue;
      if (present) value.append(", ");
      present = true;
      append_line(trimmed(field.value), fold_case, &value);
    }
    key.append("\n").append(name);
    if (present) key.append(":").append(value);
    if (key.size() > kMaximumKeyLength) {
      return Status(Code::invalid, "the variant's key is longer than a cache key may be (16 KiB)");
    }
  }
  return key;
}

KeyHash chunk_hash(const HashKey& hash_key, const KeyHash& object, uint64_t incarnation,
                   uint32_t chunk) {
  uint8_t message[28];
  const MutableBytes bytes(message);
  store_le<uint64_t>(bytes, 0, object.low);
  store_le<uint64_t>(bytes, 8, object.high);
  store_le<uint64_t>(bytes, 16, incarnation);
  store_le<uint32_t>(bytes, 24, chunk);
  return siphash_128(hash_key, bytes);
}

}  // namespace millrace
