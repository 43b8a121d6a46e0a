// The compiled routes: an immutable numbered table, made once from the configuration and read by lanes and
// TypeScript alike. First match wins. Callable from any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ref.h"
#include "engine/path-pattern.h"
#include "layout/key.h"

namespace millrace {

struct Route {
  std::string host;                  // empty: any; "*.example.com": any subdomain; lower case, no port
  std::string path;                  // empty: any; otherwise a prefix of the target's path
  std::vector<PathPattern> patterns;  // empty: any; otherwise one of them matches the target's path
  std::vector<std::string> methods;  // empty: any
  KeyRules key;
};

class RouteTable : public RefCounted<RouteTable> {
 public:
  explicit RouteTable(std::vector<Route> routes) : routes_(std::move(routes)) {}

  // Number of the first route that matches, or -1. Host and target as received.
  int32_t match(std::string_view method, std::string_view host, std::string_view target) const;
  Result<std::string> key(uint32_t route, const RequestTarget& request) const;
  size_t size() const { return routes_.size(); }

 private:
  const std::vector<Route> routes_;
};

}  // namespace millrace
