// The state of the endpoints, for users that must not wait for the dispatcher, its owner: status, readiness, and the
// troubles reported with heads. Thread-safe.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/actor_kit/published.hpp"
#include "libs/contract/heads.hpp"
#include "services/remote-fetcher/core/endpoint.hpp"
#include "services/remote-fetcher/core/vote.hpp"

namespace towline::fetcher {

struct EndpointConfig {
  std::string url;
  std::vector<std::string> headers;
  std::string ca_file;
  EndpointLimits limits;
  /// See http::Request::proxy.
  std::optional<std::string> proxy = std::nullopt;
  /// The view sets its name. An empty group becomes trust_group_of() the host.
  Voter voter = {};
};

class EndpointView {
 public:
  explicit EndpointView(const std::vector<EndpointConfig>& endpoints);

  std::size_t size() const { return names_.size(); }
  const std::string& name(std::size_t i) const { return names_[i]; }
  const std::vector<Voter>& voters() const { return voters_; }
  /// nullopt: there is no endpoint of this name.
  std::optional<std::size_t> find(const std::string& name) const;
  std::shared_ptr<const Endpoint> get(std::size_t i) const { return published_[i]->get(); }

  /// ELs that can serve blocks, now or after a back-off.
  std::vector<std::size_t> usable_els() const;
  /// The number of ELs that can serve blocks now.
  std::size_t ready_els() const;
  /// The trouble of the first concerned endpoint that has one; nullopt if none has.
  std::optional<contract::SourceTrouble> trouble(bool (*concerned)(contract::EndpointKind)) const;
  /// No probe has ended yet, so nothing is known about any endpoint.
  bool nothing_asked_yet() const;
  /// Whether most execution endpoints, those not asked yet included, serve data that does not verify.
  bool most_serve_bad_data() const;
  /// Whether the last requested range could be served.
  void note_blocks_served(bool served) { blocks_served_ = served; }
  /// The trouble, while the last requested range could not be served; else nullopt.
  std::optional<contract::SourceTrouble> blocks_trouble() const;

  /// Called by the dispatcher only.
  void publish(std::size_t i, const Endpoint& e) { published_[i]->set(e); }

 private:
  std::vector<std::string> names_;
  std::vector<Voter> voters_;
  std::vector<std::unique_ptr<Published<Endpoint>>> published_;
  std::atomic<bool> blocks_served_{true};
};
using EndpointViewPtr = std::shared_ptr<EndpointView>;

}  // namespace towline::fetcher
