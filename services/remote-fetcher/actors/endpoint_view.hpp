// What is known of the endpoints, for whoever may not wait for the dispatcher, which owns it: status, readiness, the
// troubles that heads tell of. Thread safe.
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
  /// As http::Request::proxy.
  std::optional<std::string> proxy = std::nullopt;
  /// The view names it. Group "": trust_group_of its host.
  Voter voter = {};
};

class EndpointView {
 public:
  explicit EndpointView(const std::vector<EndpointConfig>& endpoints);

  std::size_t size() const { return names_.size(); }
  const std::string& name(std::size_t i) const { return names_[i]; }
  const std::vector<Voter>& voters() const { return voters_; }
  std::optional<std::size_t> find(const std::string& name) const;
  std::shared_ptr<const Endpoint> get(std::size_t i) const { return published_[i]->get(); }

  /// ELs that may be used for blocks, now or after a back-off.
  std::vector<std::size_t> usable_els() const;
  /// How many ELs can be asked for blocks right now.
  std::size_t ready_els() const;
  /// Why endpoints give no heads, or no blocks: of the first that has a trouble; nullopt if none has.
  std::optional<contract::SourceTrouble> trouble(bool (*concerned)(contract::EndpointKind)) const;
  /// No probe has ended yet: nothing can be said of any endpoint.
  bool nothing_asked_yet() const;
  /// Of the execution endpoints that are heard, or were not asked yet, most serve what does not verify.
  bool most_serve_bad_data() const;
  /// Whether the last range that was asked for could be served.
  void note_blocks_served(bool served) { blocks_served_ = served; }
  /// Set while it could not.
  std::optional<contract::SourceTrouble> blocks_trouble() const;

  /// For the dispatcher.
  void publish(std::size_t i, const Endpoint& e) { published_[i]->set(e); }

 private:
  std::vector<std::string> names_;
  std::vector<Voter> voters_;
  std::vector<std::unique_ptr<Published<Endpoint>>> published_;
  std::atomic<bool> blocks_served_{true};
};
using EndpointViewPtr = std::shared_ptr<EndpointView>;

}  // namespace towline::fetcher
