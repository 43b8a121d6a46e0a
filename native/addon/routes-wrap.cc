// See routes-wrap.h. A route crosses as one flat array of strings, because it happens once per start:
// [host, path, methods joined by ",", query mode, query names joined by "&", sort ("1" or ""), key host,
// patterns of the path joined by a space].
#include "addon/routes-wrap.h"

#include "addon/arguments.h"
#include "engine/routes.h"

namespace millrace {

namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= text.size() && !text.empty()) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return parts;
}

bool read_query_mode(const std::string& text, KeyRules::Query* mode) {
  if (text == "keep") *mode = KeyRules::Query::keep;
  else if (text == "drop") *mode = KeyRules::Query::drop;
  else if (text == "only") *mode = KeyRules::Query::only;
  else if (text == "without") *mode = KeyRules::Query::without;
  else return false;
  return true;
}

class RoutesWrap final : public Napi::ObjectWrap<RoutesWrap> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Routes",
                       {InstanceMethod<&RoutesWrap::match>("match"),
                        InstanceMethod<&RoutesWrap::key>("key")});
  }

  explicit RoutesWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RoutesWrap>(info) {
    std::vector<Route> routes;
    const bool valid = info.Length() == 1 && info[0].IsArray() &&
                       read_routes(info[0].As<Napi::Array>(), &routes);
    if (!valid) {
      Napi::TypeError::New(info.Env(), "Routes takes an array of arrays of eight strings, the last "
                                       "of which holds patterns that can be read")
          .ThrowAsJavaScriptException();
    }
    table_ = millrace::Ref<RouteTable>::adopt(new RouteTable(std::move(routes)));
  }

 private:
  static bool read_routes(const Napi::Array& list, std::vector<Route>* routes) {
    constexpr uint32_t kParts = 8;
    for (uint32_t i = 0; i < list.Length(); i++) {
      const Napi::Value item = list.Get(i);
      if (!item.IsArray() || item.As<Napi::Array>().Length() != kParts) return false;
      std::string parts[kParts];
      for (uint32_t part = 0; part < kParts; part++) {
        const Napi::Value value = item.As<Napi::Array>().Get(part);
        if (!value.IsString()) return false;
        parts[part] = latin1_of(value.As<Napi::String>());
      }
      Route route;
      route.host = parts[0];
      route.path = parts[1];
      route.methods = split(parts[2], ',');
      if (!read_query_mode(parts[3], &route.key.query)) return false;
      route.key.query_names = split(parts[4], '&');
      route.key.sort_query = parts[5] == "1";
      route.key.host = parts[6];
      for (const std::string& text : split(parts[7], ' ')) {
        Result<PathPattern> pattern = PathPattern::compile(text);
        if (!pattern.ok()) return false;
        route.patterns.push_back(std::move(pattern.value()));
      }
      routes->push_back(std::move(route));
    }
    return true;
  }

  // match(method, host, target): number or -1
  Napi::Value match(const Napi::CallbackInfo& info) {
    Arguments arguments(info);
    const std::string method = arguments.latin1();
    const std::string host = arguments.latin1();
    const std::string target = arguments.latin1();
    if (!arguments.ok()) return Napi::Value();
    return Napi::Number::New(info.Env(), table_->match(method, host, target));
  }

  // key(route, scheme, host, target): the canonical key; throws a RangeError with the reason.
  Napi::Value key(const Napi::CallbackInfo& info) {
    Arguments arguments(info);
    const uint32_t route = arguments.u32();
    const std::string scheme = arguments.latin1();
    const std::string host = arguments.latin1();
    const std::string target = arguments.latin1();
    if (!arguments.ok()) return Napi::Value();
    const Result<std::string> key = table_->key(route, RequestTarget{scheme, host, target});
    if (!key.ok()) {
      Napi::RangeError::New(info.Env(), key.status().message()).ThrowAsJavaScriptException();
      return Napi::Value();
    }
    return js_latin1(info.Env(), key.value());
  }

  millrace::Ref<RouteTable> table_;
};

// variantKey(primary, "name\0name\0", [name, value, ...]); throws a RangeError with the reason.
Napi::Value js_variant_key(const Napi::CallbackInfo& info) {
  Arguments arguments(info);
  const std::string primary = arguments.latin1();
  const std::string vary = arguments.latin1();
  const Napi::Value list = arguments.next();
  if (!arguments.ok()) return Napi::Value();
  std::vector<std::string> texts;
  if (list.IsArray()) {
    const auto array = list.As<Napi::Array>();
    const uint32_t length = array.Length();
    texts.reserve(length);
    for (uint32_t i = 0; i < length; i++) {
      const Napi::Value value = array.Get(i);
      if (!value.IsString()) break;
      texts.push_back(latin1_of(value.As<Napi::String>()));
    }
  }
  std::vector<Field> fields;
  for (size_t i = 0; i + 1 < texts.size(); i += 2) fields.push_back(Field{texts[i], texts[i + 1]});
  const Bytes names(reinterpret_cast<const uint8_t*>(vary.data()), vary.size());
  const Result<std::string> key = variant_key(primary, names, fields);
  if (!key.ok()) {
    Napi::RangeError::New(info.Env(), key.status().message()).ThrowAsJavaScriptException();
    return Napi::Value();
  }
  return js_latin1(info.Env(), key.value());
}

}  // namespace

void define_routes(Napi::Env env, Napi::Object exports) {
  exports.Set("Routes", RoutesWrap::define(env));
  exports.Set("variantKey", Napi::Function::New<js_variant_key>(env, "variantKey"));
}

}  // namespace millrace
