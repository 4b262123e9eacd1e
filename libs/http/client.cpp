#include "libs/http/client.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <curl/curl.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace towline::http {
namespace {

struct Transfer {
  std::uint64_t id = 0;
  Request request;
  std::function<void(Response)> done;
  Response response;
  bool too_large = false;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  absl::Time started;
};

std::size_t on_body(char* data, std::size_t, std::size_t n, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  if (t.response.body.size() + n > t.request.max_response_bytes) {
    t.too_large = true;
    return 0;
  }
  t.response.body.append(data, n);
  return n;
}

std::size_t on_header(char* data, std::size_t, std::size_t n, void* user) {
  const absl::string_view line{data, n};
  auto& t = *static_cast<Transfer*>(user);
  if (absl::StartsWithIgnoreCase(line, "date:")) {
    const std::time_t date = curl_getdate(std::string{absl::StripAsciiWhitespace(line.substr(5))}.c_str(), nullptr);
    if (date >= 0) t.response.date = absl::FromTimeT(date);
    t.response.date_read = absl::Now();
  }
  if (absl::StartsWithIgnoreCase(line, "location:"))
    t.response.location = std::string{absl::StripAsciiWhitespace(line.substr(9))};
  if (absl::StartsWithIgnoreCase(line, "retry-after:")) {
    t.response.retry_after = parse_retry_after(std::string{absl::StripAsciiWhitespace(line.substr(12))}, absl::Now());
  }
  return n;
}

struct Outcome {
  Failure failure;
  absl::Status status;
};

Outcome outcome_of(CURLcode code, const Transfer& t) {
  const auto unavailable = [](Failure f, absl::string_view why) { return Outcome{f, absl::UnavailableError(why)}; };
  switch (code) {
    case CURLE_OK: return {Failure::none, absl::OkStatus()};
    case CURLE_OPERATION_TIMEDOUT:
      return {Failure::timeout, absl::DeadlineExceededError(
                                    absl::StrCat("no whole answer within ", absl::FormatDuration(t.request.timeout)))};
    case CURLE_WRITE_ERROR:
      if (t.too_large)
        return {Failure::too_large, absl::ResourceExhaustedError(
                                        absl::StrCat("answer larger than ", t.request.max_response_bytes, " bytes"))};
      break;
    case CURLE_COULDNT_RESOLVE_HOST: return unavailable(Failure::name_unresolved, "host name does not resolve");
    case CURLE_COULDNT_CONNECT: return unavailable(Failure::refused, "connection refused");
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return unavailable(Failure::lost, "connection lost before the whole answer");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return unavailable(Failure::tls, "TLS certificate does not verify (is a CA file needed?)");
    case CURLE_SSL_CONNECT_ERROR: return unavailable(Failure::tls, "no TLS connection (does the port speak TLS?)");
    default: break;
  }
  // Curl's own texts for codes name no URL.
  return unavailable(Failure::other, curl_easy_strerror(code));
}

Outcome cancelled(absl::string_view why) { return {Failure::cancelled, absl::CancelledError(why)}; }

}  // namespace

struct Client::Impl {
  std::mutex mutex;
  std::deque<std::unique_ptr<Transfer>> incoming;
  std::vector<std::uint64_t> cancelled;
  std::uint64_t next_id = 1;
  bool stopping = false;
  bool cancel_everything = false;

  CURLM* multi = nullptr;
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> active;  // the thread's alone
  std::thread thread;

  void start(std::unique_ptr<Transfer> t) {
    Transfer& x = *t;
    x.easy = curl_easy_init();
    x.headers = curl_slist_append(nullptr, "Content-Type: application/json");
    x.headers = curl_slist_append(x.headers, "Expect:");
    for (const auto& h : x.request.headers) x.headers = curl_slist_append(x.headers, h.c_str());
    curl_easy_setopt(x.easy, CURLOPT_URL, x.request.url.c_str());
    curl_easy_setopt(x.easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x.easy, CURLOPT_HTTPHEADER, x.headers);
    curl_easy_setopt(x.easy, CURLOPT_POSTFIELDS, x.request.body.data());
    curl_easy_setopt(x.easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(x.request.body.size()));
    curl_easy_setopt(x.easy, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(std::max<std::int64_t>(1, absl::ToInt64Milliseconds(x.request.timeout))));
    curl_easy_setopt(x.easy, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(x.easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x.easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(x.easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(x.easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(x.easy, CURLOPT_PROXY, "");
    if (!x.request.ca_file.empty()) curl_easy_setopt(x.easy, CURLOPT_CAINFO, x.request.ca_file.c_str());
    curl_easy_setopt(x.easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x.easy, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(x.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x.easy, CURLOPT_HEADERDATA, &x);
    curl_easy_setopt(x.easy, CURLOPT_PRIVATE, &x);
    x.started = absl::Now();
    curl_multi_add_handle(multi, x.easy);
    active.emplace(x.id, std::move(t));
  }

  void finish(std::uint64_t id, Outcome outcome) {
    auto node = active.extract(id);
    if (!node) return;
    Transfer& t = *node.mapped();
    curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &t.response.status);
    curl_multi_remove_handle(multi, t.easy);
    curl_easy_cleanup(t.easy);
    curl_slist_free_all(t.headers);
    t.response.failure = outcome.failure;
    t.response.transport = std::move(outcome.status);
    t.response.elapsed = absl::Now() - t.started;
    t.done(std::move(t.response));
  }

  void run() {
    while (true) {
      std::deque<std::unique_ptr<Transfer>> fresh;
      std::vector<std::uint64_t> gone;
      bool stop = false;
      bool cancel_everything_now = false;
      {
        std::lock_guard lock{mutex};
        fresh.swap(incoming);
        gone.swap(cancelled);
        stop = stopping;
        cancel_everything_now = cancel_everything;
      }
      for (auto& t : fresh) start(std::move(t));
      for (auto id : gone) finish(id, http::cancelled("cancelled"));
      if (stop || cancel_everything_now) {
        while (!active.empty()) finish(active.begin()->first, http::cancelled("shutting down"));
      }
      if (stop) return;
      int running = 0;
      curl_multi_perform(multi, &running);
      int left = 0;
      while (CURLMsg* m = curl_multi_info_read(multi, &left)) {
        if (m->msg != CURLMSG_DONE) continue;
        char* p = nullptr;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &p);
        const auto& t = *reinterpret_cast<Transfer*>(p);
        finish(t.id, outcome_of(m->data.result, t));
      }
      curl_multi_poll(multi, nullptr, 0, 1000, nullptr);
    }
  }
};

Client::Client() : impl_{std::make_unique<Impl>()} {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  static_cast<void>(global);
  impl_->multi = curl_multi_init();
  curl_multi_setopt(impl_->multi, CURLMOPT_MAXCONNECTS, 128L);
  impl_->thread = std::thread{[this] { impl_->run(); }};
}

Client::~Client() {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  curl_multi_wakeup(impl_->multi);
  impl_->thread.join();
  // What was posted after the thread's last look.
  for (auto& t : impl_->incoming) {
    Response r;
    r.failure = Failure::cancelled;
    r.transport = absl::CancelledError("shutting down");
    t->done(std::move(r));
  }
  curl_multi_cleanup(impl_->multi);
}

std::uint64_t Client::post(Request request, std::function<void(Response)> done) {
  auto t = std::make_unique<Transfer>();
  t->request = std::move(request);
  t->done = std::move(done);
  std::uint64_t id = 0;
  {
    std::lock_guard lock{impl_->mutex};
    id = t->id = impl_->next_id++;
    impl_->incoming.push_back(std::move(t));
  }
  curl_multi_wakeup(impl_->multi);
  return id;
}

void Client::cancel(std::uint64_t id) {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->cancelled.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

void Client::cancel_all() {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->cancel_everything = true;
  }
  curl_multi_wakeup(impl_->multi);
}

Response Client::post_and_wait(Request request) {
  // Shared: the callback may still be returning when this function is gone.
  struct Slot {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<Response> response;
  };
  auto slot = std::make_shared<Slot>();
  post(std::move(request), [slot](Response r) {
    std::lock_guard lock{slot->mutex};
    slot->response = std::move(r);
    slot->arrived.notify_one();
  });
  std::unique_lock lock{slot->mutex};
  slot->arrived.wait(lock, [&] { return slot->response.has_value(); });
  return *std::move(slot->response);
}

absl::Status check_url(const std::string& url) {
  const bool plain = absl::StartsWithIgnoreCase(url, "http://");
  if (!plain && !absl::StartsWithIgnoreCase(url, "https://"))
    return absl::InvalidArgumentError("not an http:// or https:// URL");
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> u{curl_url(), curl_url_cleanup};
  if (curl_url_set(u.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
    return absl::InvalidArgumentError("not a well-formed URL");
  return absl::OkStatus();
}

std::string redact_url(const std::string& url) {
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> u{curl_url(), curl_url_cleanup};
  if (curl_url_set(u.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return "(malformed URL)";
  const auto part = [&](CURLUPart p) {
    char* text = nullptr;
    std::string out;
    if (curl_url_get(u.get(), p, &text, CURLU_DEFAULT_PORT) == CURLUE_OK) out = text;
    curl_free(text);
    return out;
  };
  return absl::StrCat(part(CURLUPART_SCHEME), "://", part(CURLUPART_HOST), ":", part(CURLUPART_PORT));
}

std::optional<absl::Duration> parse_retry_after(const std::string& value, absl::Time now) {
  absl::Duration wait;
  std::int64_t seconds = 0;
  if (absl::SimpleAtoi(value, &seconds)) {
    wait = absl::Seconds(seconds);
  } else {
    const time_t at = curl_getdate(value.c_str(), nullptr);
    if (at < 0) return std::nullopt;
    wait = absl::FromTimeT(at) - now;
  }
  return std::clamp(wait, absl::ZeroDuration(), absl::Minutes(5));
}

}  // namespace towline::http
