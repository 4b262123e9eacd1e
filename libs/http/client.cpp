#include "libs/http/client.hpp"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_split.h>
#include <curl/curl.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "libs/base/steady_time.hpp"
#include "libs/http/encoding.hpp"
#include "libs/http/websocket.hpp"

namespace towline::http {
namespace {

/// Bytes of header lines, for which libcurl has no limit.
constexpr std::size_t kMaxHeaderBytes = 64U << 10U;
/// How often a waiting caller asks whether the request was cancelled.
constexpr std::chrono::milliseconds kLook{100};

struct Transfer {
  std::uint64_t id = 0;
  Request request;
  std::function<void(Response)> done;
  Response response;
  std::size_t header_bytes = 0;
  bool too_large = false;
  bool proxied = false;
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
  auto& t = *static_cast<Transfer*>(user);
  const absl::string_view line{data, n};
  t.header_bytes += n;
  if (t.header_bytes > kMaxHeaderBytes) {
    t.too_large = true;
    return 0;
  }
  // A new answer begins: the one before was a proxy's, or "100 Continue".
  if (absl::StartsWith(line, "HTTP/")) t.response.encoding.clear();
  const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
  read_header(field.first, absl::StripAsciiWhitespace(field.second), t.response);
  return n;
}

/// The response for the result code of a transfer.
Response outcome_of(CURLcode code, const Transfer& t) {
  long connect_status = 0;
  curl_easy_getinfo(t.easy, CURLINFO_HTTP_CONNECTCODE, &connect_status);
  if (code != CURLE_OK && t.proxied && connect_status >= 300) return refused_by_proxy(connect_status);
  switch (code) {
    case CURLE_OK: {
      long status = 0;
      curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &status);
      return t.proxied && status == 407 ? refused_by_proxy(status) : Response{};
    }
    case CURLE_OPERATION_TIMEDOUT: return timed_out(t.request.timeout);
    case CURLE_WRITE_ERROR:
      if (t.header_bytes > kMaxHeaderBytes) return too_large(kMaxHeaderBytes);
      if (t.too_large) {
        long status = 0;
        curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &status);
        return status / 100 == 2 ? too_large(t.request.max_response_bytes) : Response{};
      }
      break;
    case CURLE_COULDNT_RESOLVE_HOST: return unavailable(Failure::name_unresolved, "host name does not resolve");
    case CURLE_COULDNT_RESOLVE_PROXY: return unavailable(Failure::proxy, "the proxy's host name does not resolve");
    case CURLE_PROXY: return unavailable(Failure::proxy, "the proxy does not connect to the host");
    case CURLE_COULDNT_CONNECT:
      return t.proxied ? unavailable(Failure::proxy, "no connection to the proxy")
                       : unavailable(Failure::refused, "connection refused");
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: return connection_lost();
    case CURLE_PEER_FAILED_VERIFICATION: {
      long verified = 0;
      curl_easy_getinfo(t.easy, CURLINFO_SSL_VERIFYRESULT, &verified);
      // libcurl checks the host name itself, and OpenSSL's result is then still OK or "unspecified".
      const bool is_name = verified == X509_V_OK || verified == X509_V_ERR_UNSPECIFIED;
      return unavailable(Failure::tls, why_unverified(is_name ? X509_V_ERR_HOSTNAME_MISMATCH : verified));
    }
    case CURLE_SSL_CACERT_BADFILE: return bad_ca_file();
    case CURLE_SSL_CONNECT_ERROR: return no_tls();
    default: break;
  }
  // libcurl's texts for codes contain no URL.
  return unavailable(Failure::other, curl_easy_strerror(code));
}

}  // namespace

struct Client::Impl {
  std::mutex mutex;
  std::deque<std::unique_ptr<Transfer>> incoming;
  std::vector<std::uint64_t> given_up;
  std::vector<std::function<void()>> turns;
  std::atomic<std::uint64_t> next_id = 1;
  bool stopping = false;
  bool cancel_everything = false;

  CURLM* multi = nullptr;
  std::unordered_map<std::uint64_t, std::unique_ptr<Transfer>> active;  // used by the thread only
  std::thread thread;
  WebSockets websockets;

  std::uint64_t new_id() { return next_id++; }

  void start(std::unique_ptr<Transfer> t) {
    Transfer& x = *t;
    x.easy = curl_easy_init();
    x.headers = curl_slist_append(nullptr, "Content-Type: application/json");
    x.headers = curl_slist_append(x.headers, "Expect:");
    // Set as a plain header, so that libcurl does not unpack the body: decoded() does.
    if (x.request.gzip) x.headers = curl_slist_append(x.headers, "Accept-Encoding: gzip");
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
    // Otherwise libcurl would unpack a Transfer-Encoding that nobody asked for.
    curl_easy_setopt(x.easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(x.easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    const auto url = parse_url(x.request.url);
    const std::string proxy = url.ok() ? proxy_for(*url, x.request.proxy, process_environment()) : "";
    x.proxied = !proxy.empty();
    curl_easy_setopt(x.easy, CURLOPT_PROXY, proxy.c_str());
    curl_easy_setopt(x.easy, CURLOPT_NOPROXY, "");  // proxy_for() has applied NO_PROXY
    if (!x.request.ca_file.empty()) curl_easy_setopt(x.easy, CURLOPT_CAINFO, x.request.ca_file.c_str());
    curl_easy_setopt(x.easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x.easy, CURLOPT_WRITEDATA, &x);
    curl_easy_setopt(x.easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x.easy, CURLOPT_HEADERDATA, &x);
    curl_easy_setopt(x.easy, CURLOPT_PRIVATE, &x);
    x.started = steady_now();
    curl_multi_add_handle(multi, x.easy);
    active.emplace(x.id, std::move(t));
  }

  void finish(std::uint64_t id, const Response& why) {
    auto node = active.extract(id);
    if (!node) return;
    Transfer& t = *node.mapped();
    curl_easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, &t.response.status);
    curl_multi_remove_handle(multi, t.easy);
    curl_easy_cleanup(t.easy);
    curl_slist_free_all(t.headers);
    t.response.failure = why.failure;
    t.response.transport = why.transport;
    if (why.status != 0) t.response.status = why.status;
    t.response.elapsed = steady_now() - t.started;
    t.done(std::move(t.response));
  }

  void run() {
    while (true) {
      std::deque<std::unique_ptr<Transfer>> fresh;
      std::vector<std::uint64_t> gone;
      std::vector<std::function<void()>> asked;
      bool stop = false;
      bool cancel_everything_now = false;
      {
        std::lock_guard lock{mutex};
        fresh.swap(incoming);
        gone.swap(given_up);
        asked.swap(turns);
        stop = stopping;
        cancel_everything_now = cancel_everything;
      }
      for (auto& turn : asked) websockets.ask_turn(std::move(turn));
      for (auto& t : fresh) start(std::move(t));
      for (auto id : gone) finish(id, cancelled("cancelled"));
      if (stop || cancel_everything_now) {
        while (!active.empty()) finish(active.begin()->first, cancelled("shutting down"));
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
  // First, because its callbacks may post over HTTP: those requests are cancelled below. Requests that HTTP's callbacks
  // post to it are cancelled at once.
  impl_->websockets.stop();
  {
    std::lock_guard lock{impl_->mutex};
    impl_->stopping = true;
  }
  curl_multi_wakeup(impl_->multi);
  impl_->thread.join();
  // Requests that were posted after the thread's last look.
  for (auto& t : impl_->incoming) t->done(cancelled("shutting down"));
  curl_multi_cleanup(impl_->multi);
}

std::uint64_t Client::post(Request request, std::function<void(Response)> done) {
  const bool websocket =
      absl::StartsWithIgnoreCase(request.url, "ws://") || absl::StartsWithIgnoreCase(request.url, "wss://");
  if (websocket) {
    const std::uint64_t id = impl_->new_id();
    impl_->websockets.post(id, std::move(request), std::move(done));
    return id;
  }
  auto t = std::make_unique<Transfer>();
  t->request = std::move(request);
  t->done = std::move(done);
  const std::uint64_t id = t->id = impl_->new_id();
  {
    std::lock_guard lock{impl_->mutex};
    impl_->incoming.push_back(std::move(t));
  }
  curl_multi_wakeup(impl_->multi);
  return id;
}

std::uint64_t Client::subscribe_heads(Request request, std::function<void(Push)> tell) {
  const std::uint64_t id = impl_->new_id();
  impl_->websockets.subscribe_heads(id, std::move(request), std::move(tell));
  return id;
}

void Client::cancel(std::uint64_t id) {
  impl_->websockets.cancel(id);
  {
    std::lock_guard lock{impl_->mutex};
    impl_->given_up.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

void Client::cancel_all() {
  impl_->websockets.cancel_all();
  {
    std::lock_guard lock{impl_->mutex};
    impl_->cancel_everything = true;
  }
  curl_multi_wakeup(impl_->multi);
}

void Client::ask_turn(std::function<void()> turn) {
  {
    std::lock_guard lock{impl_->mutex};
    impl_->turns.push_back(std::move(turn));
  }
  curl_multi_wakeup(impl_->multi);
}

Response Client::post_and_wait(Request request, const std::function<bool()>& cancelled) {
  // Shared, because the callback may still run when this function has returned.
  struct Slot {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<Response> response;
  };
  auto slot = std::make_shared<Slot>();
  const std::size_t max_bytes = request.max_response_bytes;
  const std::uint64_t id = post(std::move(request), [slot](Response r) {
    std::lock_guard lock{slot->mutex};
    slot->response = std::move(r);
    slot->arrived.notify_one();
  });
  bool told = false;
  std::unique_lock lock{slot->mutex};
  while (!slot->arrived.wait_for(lock, kLook, [&] { return slot->response.has_value(); })) {
    if (told || !cancelled || !cancelled()) continue;
    cancel(id);
    told = true;
  }
  return decoded(*std::move(slot->response), max_bytes);
}

}  // namespace towline::http
