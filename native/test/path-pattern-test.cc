// Patterns of paths: what each element stands for, what is no pattern, and that a path as long as a client
// may send costs no more than its length.
#include "engine/path-pattern.h"

#include <string>

#include "engine/routes.h"
#include "test/support.h"

namespace millrace::test {

namespace {

bool fits(std::string_view pattern, std::string_view path) {
  const Result<PathPattern> compiled = PathPattern::compile(pattern);
  REQUIRE(compiled.ok());
  return compiled.value().matches(path);
}

// The definition, without care for its cost.
bool fits_slowly(std::string_view pattern, std::string_view path, bool begins_segment) {
  if (pattern.empty()) return path.empty();
  if (begins_segment && pattern.substr(0, 3) == "**/") {
    if (fits_slowly(pattern.substr(3), path, true)) return true;
    for (size_t i = 0; i < path.size(); i++) {
      if (path[i] == '/' && fits_slowly(pattern.substr(3), path.substr(i + 1), true)) return true;
    }
    return false;
  }
  if (pattern[0] == '*') {
    const bool any = pattern.substr(0, 2) == "**";
    const std::string_view rest = pattern.substr(any ? 2 : 1);
    for (size_t i = 0; i <= path.size(); i++) {
      if (fits_slowly(rest, path.substr(i), false)) return true;
      if (i < path.size() && path[i] == '/' && !any) return false;
    }
    return false;
  }
  if (path.empty() || path[0] != pattern[0]) return false;
  return fits_slowly(pattern.substr(1), path.substr(1), pattern[0] == '/');
}

}  // namespace

TEST_CASE("path pattern: what is no sign stands for itself") {
  CHECK(fits("/a.b-c", "/a.b-c"));
  CHECK(!fits("/a.b-c", "/aXb-c"));
  CHECK(!fits("/a", "/ab"));
  CHECK(!fits("/ab", "/a"));
  CHECK(fits("/\xc3\xa4", "/\xc3\xa4"));
}

TEST_CASE("path pattern: one star stays within a segment") {
  CHECK(fits("/*.deb", "/x.deb"));
  CHECK(fits("/*.deb", "/.deb"));
  CHECK(fits("/*.deb", "/a.deb.deb"));
  CHECK(!fits("/*.deb", "/pool/x.deb"));
  CHECK(fits("/a*b*c", "/axxbyyc"));
  CHECK(!fits("/a*b*c", "/axxb/yc"));
}

TEST_CASE("path pattern: two stars cross segments, and as a segment stand for none as well") {
  CHECK(fits("/**.deb", "/pool/main/x.deb"));
  CHECK(fits("/**/pool/**", "/pool/x"));
  CHECK(fits("/**/pool/**", "/debian/sub/pool/x/y"));
  CHECK(!fits("/**/pool/**", "/debian/carpool/x"));
  CHECK(!fits("/**/pool/**", "/pool"));
  CHECK(fits("/**/a/**/b", "/a/b"));
  CHECK(fits("/**/a/**/b", "/x/a/y/z/b"));
  CHECK(!fits("/**/a/**/b", "/x/a/yb"));
  CHECK(fits("/**", "/"));
  CHECK(fits("/**/", "/a/"));
  CHECK(!fits("/**/", "/a"));
}

TEST_CASE("path pattern: a set is one character, or as many as it says") {
  const std::string commit(40, 'a');
  CHECK(fits("/**/resolve/[0-9a-f]{40}/**", "/o/m/resolve/" + commit + "/x.bin"));
  CHECK(!fits("/**/resolve/[0-9a-f]{40}/**", "/o/m/resolve/main/x.bin"));
  CHECK(!fits("/**/resolve/[0-9a-f]{40}/**", "/o/m/resolve/" + commit + "a/x.bin"));
  CHECK(!fits("/**/resolve/[0-9a-f]{40}/**", "/o/m/resolve/" + commit.substr(1) + "/x.bin"));
  CHECK(fits("/[abc-]x", "/-x"));
  CHECK(!fits("/[abc-]x", "/dx"));
}

TEST_CASE("path pattern: what cannot be read is refused") {
  for (const char* text : {"/***", "/[", "/[]", "/[z-a]", "/]", "/a{2}", "/[a]{", "/[a]{0}", "/[a]{x}",
                           "/[a]{256}", "/[a]{999999999999999999999}", "/[+-9]", "/a?"}) {
    CAPTURE(text);
    CHECK(!PathPattern::compile(text).ok());
  }
  CHECK(PathPattern::compile(std::string(PathPattern::kElements, 'a')).ok());
  CHECK(!PathPattern::compile(std::string(PathPattern::kElements + 1, 'a')).ok());
}

TEST_CASE("path pattern: the longest pattern uses every bit") {
  const std::string text = "/[0-9a-f]{252}*x";
  CHECK(fits(text, "/" + std::string(252, '0') + "yyyx"));
  CHECK(!fits(text, "/" + std::string(252, '0') + "yyy"));
  CHECK(!fits(text, "/" + std::string(251, '0') + "x"));
}

TEST_CASE("path pattern: random ones agree with their definition") {
  Random random(7);
  const char* pieces[] = {"a", "b", "/", "*", "**", "/**/"};
  size_t matched = 0;
  for (int round = 0; round < 20'000; round++) {
    std::string pattern = "/";
    for (uint64_t i = random.next() % 6; i > 0; i--) {
      const std::string piece = pieces[random.next() % 6];
      // Three stars in a row are no pattern.
      if (pattern.back() == '*' && piece[0] == '*') continue;
      pattern += piece;
    }
    if (!PathPattern::compile(pattern).ok()) continue;
    std::string path = "/";
    for (uint64_t i = random.next() % 8; i > 0; i--) path += "ab/"[random.next() % 3];
    CAPTURE(pattern);
    CAPTURE(path);
    const bool expected = fits_slowly(pattern, path, false);
    REQUIRE(fits(pattern, path) == expected);
    matched += expected ? 1 : 0;
  }
  CHECK(matched > 1000);
}

TEST_CASE("path pattern: a path of the longest head costs its length") {
  const std::string path = "/" + std::string(64 * 1024, 'a');
  CHECK(!fits("/**a**a**a**a**a**b", path));
  CHECK(fits("/**a**a**a**a**a", path));
}

TEST_CASE("routes: prefix and patterns must both match, and of patterns one") {
  Route route;
  route.path = "/v2/";
  route.patterns.push_back(PathPattern::compile("/**/blobs/*").value());
  route.patterns.push_back(PathPattern::compile("/**/manifests/*").value());
  std::vector<Route> routes;
  routes.push_back(route);
  const Ref<RouteTable> table = Ref<RouteTable>::adopt(new RouteTable(std::move(routes)));
  CHECK(table->match("GET", "h", "/v2/a/b/blobs/x?y=/z") == 0);
  CHECK(table->match("GET", "h", "/v2/a/manifests/x") == 0);
  CHECK(table->match("GET", "h", "/v1/a/manifests/x") == -1);
  CHECK(table->match("GET", "h", "/v2/a/tags/list?x=/blobs/y") == -1);
}

}  // namespace millrace::test
