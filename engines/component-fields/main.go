// Prints, as JSON, the fields of KubeletConfiguration and KubeProxyConfiguration as the Go types of one Kubernetes minor declare
// them. engines/component_fields.py runs it once for each minor and merges what it prints.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	proxy "k8s.io/kube-proxy/config/v1alpha1"
	kubelet "k8s.io/kubelet/config/v1beta1"
)

// A field. Type: as Go writes it, with the types that have a form of their own in JSON named after that form.
type field struct {
	Type string `json:"type"`
	Omit bool   `json:"omitempty"`
}

// Types that read and write JSON by code of their own, which reflection does not show.
var own = map[string]string{
	"v1.Duration":             "duration",
	"v1.Time":                 "time",
	"resource.Quantity":       "quantity",
	"resource.QuantityValue":  "quantity",
	"v1.TimeOrMetaDuration":   "nanoseconds or duration",
	"v1alpha1.TimeOrDuration": "nanoseconds or duration",
}

func main() {
	found := map[string]map[string]field{}
	for kind, value := range map[string]any{
		"KubeletConfiguration":   kubelet.KubeletConfiguration{},
		"KubeProxyConfiguration": proxy.KubeProxyConfiguration{},
	} {
		found[kind] = map[string]field{}
		walk(reflect.TypeOf(value), "", found[kind])
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func walk(of reflect.Type, path string, found map[string]field) {
	for at := range of.NumField() {
		one := of.Field(at)
		name, options, _ := strings.Cut(one.Tag.Get("json"), ",")
		if name == "" {
			// Embedded: its fields are those of the outer type. TypeMeta is apiVersion and kind, which every document has.
			if one.Type.Name() != "TypeMeta" {
				walk(one.Type, path, found)
			}
			continue
		}
		if name == "-" {
			continue
		}
		where := strings.TrimPrefix(path+"."+name, ".")
		text, inner, below := describe(one.Type)
		found[where] = field{text, strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")}
		if inner != nil {
			walk(inner, where+below, found)
		}
	}
}

// describe returns a type's text, and the struct within it with what the paths of its fields have between.
func describe(of reflect.Type) (string, reflect.Type, string) {
	if text, ok := own[of.String()]; ok {
		return text, nil, ""
	}
	switch of.Kind() {
	case reflect.Pointer:
		text, inner, below := describe(of.Elem())
		return "*" + text, inner, below
	case reflect.Slice:
		text, inner, below := describe(of.Elem())
		return "[]" + text, inner, "[]" + below
	case reflect.Map:
		text, inner, below := describe(of.Elem())
		return "map[]" + text, inner, "[]" + below
	case reflect.Struct:
		if method, has := reflect.PointerTo(of).MethodByName("UnmarshalJSON"); has {
			panic(of.String() + " has a form of its own: " + method.Name)
		}
		return "object", of, ""
	default:
		return of.Kind().String(), nil, ""
	}
}
