// A JSON-RPC server over HTTP with faults on demand.
#pragma once
#include <absl/status/statusor.h>
#include <simdjson.h>

#include <functional>
#include <memory>
#include <string>

#include "tools/devnet/world.hpp"

namespace towline::devnet {

/// `json`: the result; if `code` is not 0, the error's message in plain text.
struct Reply {
  std::string json;
  std::int64_t code = 0;
  bool left_out = false;  // a gap: no answer in a batch
};
inline Reply method_not_found(std::string_view method) {
  return {"the method " + std::string{method} + " does not exist/is not available", -32601};
}
/// `s` with quotes, as JSON.
std::string json_string(const std::string& s);
/// The parameter at `i` as text; empty: none, or not a string.
std::string_view text_param(simdjson::dom::element params, std::size_t i);

class RpcServer {
 public:
  /// `params` is an array, or null.
  using Handler = std::function<Reply(std::string_view method, simdjson::dom::element params)>;
  /// Gets the Authorization header; returns the text of an HTTP 401, empty: allowed.
  using Gate = std::function<std::string(const std::string& authorization)>;

  /// Port 0: any. `state` belongs to `world` and is read with its mutex held; `handler` is called without it.
  static absl::StatusOr<std::unique_ptr<RpcServer>> start(const std::string& host, int port, World& world,
                                                          NodeState& state, Handler handler, Gate gate = {});
  /// World::stopping must be set before: it ends hanging requests.
  ~RpcServer();
  int port() const;
  std::string url() const;

 private:
  RpcServer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace towline::devnet
