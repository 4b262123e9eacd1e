#include "services/engine-driver/core/gate.hpp"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "libs/base/hex.hpp"

namespace towline::driver {

std::string encode(const Persistent& p) {
  nlohmann::json doc = {{"authority", p.authority}, {"epoch", p.epoch}};
  if (p.fence) doc["fence"] = {{"number", p.fence->number}, {"hash", to_hex(p.fence->hash.view())}};
  return doc.dump(1) + "\n";
}

absl::StatusOr<Persistent> decode_persistent(const std::string& text) {
  const auto doc = nlohmann::json::parse(text, nullptr, false);
  const auto bad = [](absl::string_view what) {
    return absl::DataLossError(absl::StrCat("the state file is damaged: ", what));
  };
  if (!doc.is_object()) return bad("not a JSON object");
  Persistent p;
  if (!doc.contains("authority") || !doc["authority"].is_string()) return bad("no authority");
  if (!doc.contains("epoch") || !doc["epoch"].is_number_unsigned()) return bad("no epoch");
  p.authority = doc["authority"].get<std::string>();
  p.epoch = doc["epoch"].get<std::uint64_t>();
  if (doc.contains("fence")) {
    const auto& f = doc["fence"];
    if (!f.is_object() || !f.contains("number") || !f["number"].is_number_unsigned() || !f.contains("hash") ||
        !f["hash"].is_string()) {
      return bad("fence");
    }
    auto hash = parse_fixed_hex<32>(f["hash"].get<std::string>());
    if (!hash.ok()) return bad("fence hash");
    p.fence = eth::BlockId{f["number"].get<std::uint64_t>(), *hash};
  }
  return p;
}

absl::Status Gate::admit(const Command& c, const Labels& el) {
  if (c.authority.empty()) return absl::InvalidArgumentError("a command needs an authority");
  if (!state_.authority.empty() && c.authority != state_.authority) {
    return absl::FailedPreconditionError(
        absl::StrCat("stale epoch: this driver obeys authority \"", state_.authority, "\", not \"", c.authority, "\""));
  }
  if (c.epoch < state_.epoch) {
    return absl::FailedPreconditionError(
        absl::StrCat("stale epoch: ", c.epoch, " is older than ", state_.epoch, ", another coordinator took over"));
  }
  if (!el.latest) return absl::UnavailableError("the EL's head is not known");
  if (el.latest->hash != c.expected_head) {
    return absl::FailedPreconditionError(absl::StrCat("head moved: the EL is at ", eth::to_string(*el.latest),
                                                      ", expected ", short_hex(c.expected_head.view())));
  }
  state_.authority = c.authority;
  state_.epoch = c.epoch;
  return absl::OkStatus();
}

absl::Status Gate::check_labels(const eth::BlockId& head, const std::optional<eth::BlockId>& safe,
                                const std::optional<eth::BlockId>& finalized, const Labels& el) const {
  const auto refuse = [](absl::string_view a, const eth::BlockId& x, absl::string_view b, const eth::BlockId& y) {
    return absl::FailedPreconditionError(absl::StrCat(a, " ", eth::to_string(x), " ", b, " ", eth::to_string(y)));
  };
  // A label that is left alone still counts for the order.
  auto safe_after = safe;
  if (!safe_after && el.safe) safe_after = el.safe->id();
  auto finalized_after = finalized;
  if (!finalized_after && el.finalized) finalized_after = el.finalized->id();
  if (safe && safe->number > head.number) return refuse("safe", *safe, "is above the head", head);
  if (finalized && finalized->number > head.number) return refuse("finalized", *finalized, "is above the head", head);
  if ((safe || finalized) && safe_after && finalized_after && finalized_after->number > safe_after->number) {
    return refuse("finalized", *finalized_after, "is above safe", *safe_after);
  }
  if (finalized && state_.fence) {
    if (finalized->number < state_.fence->number)
      return refuse("finalized", *finalized, "is below the fence", *state_.fence);
    if (finalized->number == state_.fence->number && finalized->hash != state_.fence->hash) {
      return refuse("finalized", *finalized, "is not the fence", *state_.fence);
    }
  }
  if (safe && state_.fence && safe->number < state_.fence->number)
    return refuse("safe", *safe, "is below the fence", *state_.fence);
  return absl::OkStatus();
}

bool Gate::confirm_finalized(const eth::BlockId& finalized) {
  if (state_.fence && finalized.number <= state_.fence->number) return false;
  state_.fence = finalized;
  return true;
}

absl::Status Gate::check_rewind(const eth::BlockId& to) const {
  if (!state_.fence) return absl::OkStatus();
  if (to.number < state_.fence->number || (to.number == state_.fence->number && to.hash != state_.fence->hash)) {
    return absl::FailedPreconditionError(
        absl::StrCat("a rewind to ", eth::to_string(to), " would go below the fence ", eth::to_string(*state_.fence)));
  }
  return absl::OkStatus();
}

}  // namespace towline::driver
