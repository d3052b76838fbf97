package admin

import "github.com/danielgtaylor/huma/v2"

// OpenAPI returns what the API says of itself.
func (a *API) OpenAPI() *huma.OpenAPI { return a.rest.OpenAPI() }
