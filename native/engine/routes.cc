// Matching of requests to numbered routes. See routes.h.
#include "engine/routes.h"

#include <algorithm>

namespace millrace {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// The host without its port and without a trailing dot.
std::string_view bare_host(std::string_view host) {
  const size_t bracket = host.rfind(']');
  const size_t colon = host.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = host.substr(0, colon);
  }
  if (!host.empty() && host.back() == '.') host.remove_suffix(1);
  return host;
}

bool equals_folded(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (size_t i = 0; i < text.size(); i++) {
    if (lower(text[i]) != lower_case[i]) return false;
  }
  return true;
}

bool host_matches(std::string_view host, std::string_view pattern) {
  if (pattern.empty()) return true;
  if (pattern.size() < 2 || pattern.substr(0, 2) != "*.") return equals_folded(host, pattern);
  const std::string_view suffix = pattern.substr(1);  // ".example.com"
  return host.size() > suffix.size() &&
         equals_folded(host.substr(host.size() - suffix.size()), suffix);
}

bool path_matches(std::string_view path, const Route& route) {
  if (path.substr(0, route.path.size()) != route.path) return false;
  if (route.patterns.empty()) return true;
  return std::any_of(route.patterns.begin(), route.patterns.end(),
                     [path](const PathPattern& pattern) { return pattern.matches(path); });
}

}  // namespace

int32_t RouteTable::match(std::string_view method, std::string_view host,
                          std::string_view target) const {
  const std::string_view name = bare_host(host);
  const std::string_view path = target.substr(0, target.find('?'));
  for (size_t number = 0; number < routes_.size(); number++) {
    const Route& route = routes_[number];
    if (!host_matches(name, route.host)) continue;
    if (!path_matches(path, route)) continue;
    bool method_fits = route.methods.empty();
    for (const std::string& allowed : route.methods) method_fits = method_fits || allowed == method;
    if (method_fits) return static_cast<int32_t>(number);
  }
  return -1;
}

Result<std::string> RouteTable::key(uint32_t route, const RequestTarget& request) const {
  if (route >= routes_.size()) return Status(Code::invalid, "no route of that number");
  return canonical_key(request, routes_[route].key);
}

}  // namespace millrace
