#include "services/remote-fetcher/actors/endpoint_view.hpp"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <random>

#include "libs/base/steady_time.hpp"
#include "libs/http/url.hpp"
#include "services/remote-fetcher/core/trust_group.hpp"

namespace towline::fetcher {
namespace {

/// host:port and the position in the list: no part of the URL that could be secret.
std::string name_of(const std::string& url, std::size_t i) {
  const std::string shown = http::redact_url(url);
  const auto slashes = shown.find("//");
  return absl::StrCat(slashes == std::string::npos ? shown : shown.substr(slashes + 2), "#", i + 1);
}

/// Only the dispatcher calls the returned function.
Jitter make_jitter() {
  auto random = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [random] { return std::uniform_real_distribution<>{0, 1}(*random); };
}

}  // namespace

EndpointView::EndpointView(const std::vector<EndpointConfig>& endpoints) {
  const Jitter jitter = make_jitter();
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    names_.push_back(name_of(endpoints[i].url, i));
    Voter& voter = voters_.emplace_back(endpoints[i].voter);
    voter.endpoint = names_.back();
    if (const auto url = http::parse_url(endpoints[i].url); url.ok() && voter.group.empty())
      voter.group = trust_group_of(url->host);
    published_.push_back(std::make_unique<Published<Endpoint>>(Endpoint{names_.back(), endpoints[i].limits, jitter}));
  }
}

std::optional<std::size_t> EndpointView::find(const std::string& wanted) const {
  const auto it = std::find(names_.begin(), names_.end(), wanted);
  if (it == names_.end()) return std::nullopt;
  return static_cast<std::size_t>(it - names_.begin());
}

std::vector<std::size_t> EndpointView::usable_els() const {
  std::vector<std::size_t> out;
  const absl::Time now = steady_now();
  for (std::size_t i = 0; i < size(); ++i) {
    const auto e = get(i);
    const State s = e->state(now);
    if (contract::serves_blocks(e->kind()) && (s == State::ready || s == State::backing_off)) out.push_back(i);
  }
  return out;
}

std::size_t EndpointView::ready_els() const {
  const absl::Time now = steady_now();
  return static_cast<std::size_t>(std::count_if(published_.begin(), published_.end(), [&](const auto& p) {
    const auto e = p->get();
    return contract::serves_blocks(e->kind()) && e->state(now) == State::ready;
  }));
}

std::optional<contract::SourceTrouble> EndpointView::trouble(bool (*concerned)(contract::EndpointKind)) const {
  const absl::Time now = steady_now();
  for (std::size_t i = 0; i < size(); ++i) {
    const auto e = get(i);
    if (e->kind() != contract::EndpointKind::unknown && !concerned(e->kind())) continue;
    const Trouble t = e->trouble(now);
    if (!t) continue;
    return contract::SourceTrouble{std::string{reason_code(t.problem)},
                                   absl::StrCat(names_[i], ": ", t.why, ". ", advice(t.problem))};
  }
  return std::nullopt;
}

bool EndpointView::nothing_asked_yet() const {
  const absl::Time now = steady_now();
  return std::all_of(published_.begin(), published_.end(),
                     [&](const auto& p) { return p->get()->trouble(now).problem == Problem::not_asked; });
}

bool EndpointView::most_serve_bad_data() const {
  const absl::Time now = steady_now();
  std::size_t all = 0;
  std::size_t bad = 0;
  for (const auto& p : published_) {
    const auto e = p->get();
    const Problem problem = e->trouble(now).problem;
    if (!contract::serves_blocks(e->kind()) && problem != Problem::not_asked) continue;
    ++all;
    if (problem == Problem::bad_data) ++bad;
  }
  return bad * 2 > all;
}

std::optional<contract::SourceTrouble> EndpointView::blocks_trouble() const {
  if (blocks_served_) return std::nullopt;
  if (auto t = trouble(contract::serves_blocks)) return t;
  return contract::SourceTrouble{"no_blocks", "no source serves the blocks that are needed; see `towline endpoints`"};
}

}  // namespace towline::fetcher
