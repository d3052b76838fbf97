package admin

import "net/http"

// What a browser is told with every reply. The pages of internal/page have a policy of
// their own, which is narrower. Styles come from files alone: no page needs inline ones.
var (
	contentSecurityPolicy = []string{"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
		"frame-ancestors 'none'; base-uri 'none'; form-action 'self'"}
	permissionsPolicy       = []string{"accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()"}
	strictTransportSecurity = []string{"max-age=63072000"} // two years
	sameOrigin              = []string{"same-origin"}
	noReferrer              = []string{"no-referrer"}
	noStore                 = []string{"no-store"}
	noSniff                 = []string{"nosniff"}
)

// secured tells browsers to do nothing with a reply but what the console needs.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header["Content-Security-Policy"] = contentSecurityPolicy
		header["X-Content-Type-Options"] = noSniff
		header["Referrer-Policy"] = noReferrer
		header["Cross-Origin-Opener-Policy"] = sameOrigin
		header["Cross-Origin-Resource-Policy"] = sameOrigin
		header["Permissions-Policy"] = permissionsPolicy
		if overTLS(r) {
			header["Strict-Transport-Security"] = strictTransportSecurity
		}
		next.ServeHTTP(w, r)
	})
}
