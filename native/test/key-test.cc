// Canonical and variant keys as tables of cases: two requests share a key exactly when they may
// share a response.
#include "layout/key.h"

#include "layout/record.h"
#include "test/support.h"

namespace millrace::test {

namespace {

std::string key_of(std::string_view scheme, std::string_view host, std::string_view target,
                   const KeyRules& rules = {}) {
  const Result<std::string> key = canonical_key(RequestTarget{scheme, host, target}, rules);
  if (!key.ok()) {
    CHECK(key.status().code() == Code::invalid);
    return "invalid";
  }
  return key.value();
}

KeyRules query_rules(KeyRules::Query query, std::vector<std::string> names, bool sort = false) {
  KeyRules rules;
  rules.query = query;
  rules.query_names = std::move(names);
  rules.sort_query = sort;
  return rules;
}

std::string variant_of(std::string_view vary, std::vector<Field> fields) {
  const Result<std::string> key = variant_key("p", bytes_of(vary), fields);
  return key.ok() ? key.value() : "invalid";
}

constexpr std::string_view kAccept("accept\0", 7);
constexpr std::string_view kEncoding("accept-encoding\0", 16);

}  // namespace

TEST_CASE("key: hosts are normalised and bad ones refused") {
  const struct {
    std::string_view scheme;
    std::string_view host;
    std::string_view expected;
  } cases[] = {
      {"http", "example.com", "http://example.com/"},
      {"http", "EXAMPLE.Com", "http://example.com/"},
      {"http", "example.com.", "http://example.com/"},
      {"http", "example.com.:80", "http://example.com/"},
      {"http", "example.com:80", "http://example.com/"},
      {"http", "example.com:", "http://example.com/"},
      {"http", "example.com:0080", "http://example.com/"},
      {"http", "example.com:443", "http://example.com:443/"},
      {"https", "example.com:443", "https://example.com/"},
      {"https", "example.com:80", "https://example.com:80/"},
      {"http", "example.com:08080", "http://example.com:8080/"},
      {"http", "127.0.0.1:8080", "http://127.0.0.1:8080/"},
      {"http", "[::1]", "http://[::1]/"},
      {"http", "[::1]:80", "http://[::1]/"},
      {"http", "[2001:DB8::A]:8080", "http://[2001:db8::a]:8080/"},
      {"http", "[::ffff:1.2.3.4]", "http://[::ffff:1.2.3.4]/"},
      {"http", "a_b-c.d", "http://a_b-c.d/"},
      {"http", "", "invalid"},
      {"http", ".", "invalid"},
      {"http", ":80", "invalid"},
      {"http", "a b", "invalid"},
      {"http", "a/b", "invalid"},
      {"http", "a@b", "invalid"},
      {"http", "a?b", "invalid"},
      {"http", "a#b", "invalid"},
      {"http", "a\tb", "invalid"},
      {"http", "a\nb", "invalid"},
      {"http", "a\\b", "invalid"},
      {"http", "caf\xc3\xa9.fr", "invalid"},
      {"http", "example.com:0", "invalid"},
      {"http", "example.com:65536", "invalid"},
      {"http", "example.com:123456", "invalid"},
      {"http", "example.com:8o", "invalid"},
      {"http", "example.com:-1", "invalid"},
      {"http", "example.com:80:80", "invalid"},
      {"http", "[::1", "invalid"},
      {"http", "::1", "invalid"},
      {"http", "[::1]x", "invalid"},
      {"http", "[]", "invalid"},
      {"http", "[::g]", "invalid"},
      {"http", "[::1]:x", "invalid"},
      {"http", "a]", "invalid"},
      {"ftp", "example.com", "invalid"},
      {"HTTP", "example.com", "invalid"},
      {"", "example.com", "invalid"},
  };
  for (const auto& item : cases) {
    INFO("scheme ", std::string(item.scheme), " host ", std::string(item.host));
    CHECK(key_of(item.scheme, item.host, "/") == item.expected);
  }
}

TEST_CASE("key: targets are taken byte for byte") {
  const struct {
    std::string_view target;
    std::string_view expected;
  } cases[] = {
      {"/", "http://h/"},
      {"/a/../b", "http://h/a/../b"},
      {"/A%2f%2F", "http://h/A%2f%2F"},
      {"/a?", "http://h/a?"},
      {"/a?b=1&a=2", "http://h/a?b=1&a=2"},
      {"/caf\xc3\xa9", "http://h/caf\xc3\xa9"},
      {"//x", "http://h//x"},
      {"", "invalid"},
      {"a", "invalid"},
      {"*", "invalid"},
      {"http://h/", "invalid"},
      {"/a b", "invalid"},
      {"/a\nb", "invalid"},
      {"/a\x7f", "invalid"},
      {std::string_view("/a\0b", 4), "invalid"},
  };
  for (const auto& item : cases) {
    INFO("target ", std::string(item.target));
    CHECK(key_of("http", "h", item.target) == item.expected);
  }
}

TEST_CASE("key: query rules choose what belongs to the key") {
  using Query = KeyRules::Query;
  const struct {
    KeyRules rules;
    std::string_view target;
    std::string_view expected;
  } cases[] = {
      {query_rules(Query::drop, {}), "/a?b=1", "http://h/a"},
      {query_rules(Query::drop, {}), "/a?", "http://h/a"},
      {query_rules(Query::drop, {}), "/a", "http://h/a"},
      {query_rules(Query::only, {"v"}), "/a?b=1&v=2&c=3", "http://h/a?v=2"},
      {query_rules(Query::only, {"v"}), "/a?b=1", "http://h/a"},
      {query_rules(Query::only, {"v"}), "/a?v", "http://h/a?v"},
      {query_rules(Query::only, {"v"}), "/a?v=1&v=2", "http://h/a?v=1&v=2"},
      {query_rules(Query::only, {"v"}), "/a?vv=1&V=2&%76=3", "http://h/a"},
      {query_rules(Query::without, {"utm"}), "/a?utm=1&b=2", "http://h/a?b=2"},
      {query_rules(Query::without, {"utm"}), "/a?utm_x=1&b=2", "http://h/a?utm_x=1&b=2"},
      {query_rules(Query::without, {"utm_*"}), "/a?utm_x=1&utm_=2&utm=3&b", "http://h/a?utm=3&b"},
      {query_rules(Query::only, {"p*"}), "/a?page=1&b=2&p=3", "http://h/a?page=1&p=3"},
      {query_rules(Query::without, {"utm"}), "/a?utm=1", "http://h/a"},
      {query_rules(Query::without, {"utm"}), "/a?b=2", "http://h/a?b=2"},
      {query_rules(Query::keep, {}, true), "/a?b=2&a=1", "http://h/a?a=1&b=2"},
      {query_rules(Query::keep, {}, true), "/a?b=1&a=2&b=0", "http://h/a?a=2&b=0&b=1"},
      {query_rules(Query::keep, {}, true), "/a?x?y=1", "http://h/a?x?y=1"},
      {query_rules(Query::keep, {"a"}, false), "/a?b=2&a=1", "http://h/a?b=2&a=1"},
      {query_rules(Query::without, {"t"}, true), "/a?z=1&t=5&b=2", "http://h/a?b=2&z=1"},
  };
  for (const auto& item : cases) {
    INFO("target ", std::string(item.target));
    CHECK(key_of("http", "h", item.target, item.rules) == item.expected);
  }
}

TEST_CASE("key: a rule's host replaces the request's") {
  KeyRules rules;
  rules.host = "Cdn.example.";
  CHECK(key_of("http", "a.example:8080", "/x", rules) == "http://cdn.example/x");
  CHECK(key_of("http", "b.example", "/x", rules) == "http://cdn.example/x");
}

TEST_CASE("key: the length limit is exact") {
  const std::string longest(kMaximumKeyLength - 8, 'a');
  CHECK(key_of("http", "h", "/" + longest.substr(1)).size() == kMaximumKeyLength);
  CHECK(key_of("http", "h", "/" + longest) == "invalid");
}

TEST_CASE("key: absent matches only absent") {
  CHECK(variant_of(kAccept, {}) == "p\naccept");
  CHECK(variant_of(kAccept, {{"Accept", ""}}) == "p\naccept:");
  CHECK(variant_of(kAccept, {{"Accept", "x"}}) == "p\naccept:x");
  CHECK(variant_of("", {{"Accept", "x"}}) == "p");
}

TEST_CASE("key: lines are joined and white space around commas goes away") {
  const std::string_view expected = "p\naccept:a, b, c";
  CHECK(variant_of(kAccept, {{"accept", "a,b,c"}}) == expected);
  CHECK(variant_of(kAccept, {{"ACCEPT", " a , b\t,\tc "}}) == expected);
  CHECK(variant_of(kAccept, {{"Accept", "a"}, {"Other", "x"}, {"accept", "b,c"}}) == expected);
  CHECK(variant_of(kAccept, {{"Accept", "a"}, {"Accept", "b"}, {"Accept", "c"}}) == expected);
  CHECK(variant_of(kAccept, {{"Accept", "c,b,a"}}) != expected);
  CHECK(variant_of(kAccept, {{"Accept", "a b"}}) == "p\naccept:a b");
  CHECK(variant_of(kAccept, {{"Accept", "a"}, {"Accept", ""}}) ==
        variant_of(kAccept, {{"Accept", "a,"}}));
}

TEST_CASE("key: commas and blanks inside quotes are data") {
  CHECK(variant_of(kAccept, {{"Accept", "\"a , b\""}}) == "p\naccept:\"a , b\"");
  CHECK(variant_of(kAccept, {{"Accept", "\"a,b\""}}) !=
        variant_of(kAccept, {{"Accept", "\"a, b\""}}));
  CHECK(variant_of(kAccept, {{"Accept", "\"a\\\" , b\" , c"}}) == "p\naccept:\"a\\\" , b\", c");
}

TEST_CASE("key: only encodings and languages are folded") {
  CHECK(variant_of(kEncoding, {{"Accept-Encoding", "GZIP , Br"}}) == "p\naccept-encoding:gzip, br");
  CHECK(variant_of(kAccept, {{"Accept", "Text/HTML"}}) == "p\naccept:Text/HTML");
  CHECK(variant_of(std::string_view("accept-language\0", 16), {{"accept-language", "de-DE"}}) ==
        "p\naccept-language:de-de");
}

TEST_CASE("key: several names keep the head's order") {
  const std::string_view names("accept\0origin\0", 14);
  CHECK(variant_of(names, {{"Origin", "o"}, {"Accept", "a"}}) == "p\naccept:a\norigin:o");
  CHECK(variant_of(names, {{"Origin", "o"}}) == "p\naccept\norigin:o");
}

TEST_CASE("key: malformed name lists and keys that grow too long are refused") {
  CHECK(variant_of("accept", {}) == "invalid");
  CHECK(variant_of(std::string_view("\0", 1), {}) == "invalid");
  const std::string huge(kMaximumKeyLength, 'x');
  CHECK(variant_of(kAccept, {{"Accept", huge}}) == "invalid");
}

}  // namespace millrace::test
