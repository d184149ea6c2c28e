// Prints, as JSON, the feature gates that the components of one Kubernetes minor know, as they register them.
// engines/component_gates.py runs it once for each minor and merges what it prints.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"k8s.io/apimachinery/pkg/util/runtime"
	gates "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/featuregate"
	logs "k8s.io/component-base/logs/api/v1"
	metrics "k8s.io/component-base/metrics/features"

	_ "k8s.io/kubernetes/pkg/features"
)

// A gate. Needs: what has to be on for it to be on.
type gate struct {
	Default bool     `json:"default"`
	Locked  bool     `json:"locked"`
	Stage   string   `json:"stage"`
	Needs   []string `json:"needs"`
}

// Gates depend on each other since 1.35.
type dependent interface {
	Dependencies() map[featuregate.Feature][]featuregate.Feature
}

func main() {
	// Components add these at their start; they are in no list of pkg/features.
	runtime.Must(logs.AddFeatureGates(gates.DefaultMutableFeatureGate))
	runtime.Must(metrics.AddFeatureGates(gates.DefaultMutableFeatureGate))
	needs := map[featuregate.Feature][]featuregate.Feature{}
	if known, ok := gates.DefaultMutableFeatureGate.(dependent); ok {
		needs = known.Dependencies()
	}
	found := map[string]gate{}
	for name, spec := range gates.DefaultMutableFeatureGate.GetAll() {
		// A gate of a later version, which cannot be set yet. The constant is not in each minor.
		if string(spec.PreRelease) == "PRE-ALPHA" {
			continue
		}
		one := gate{Default: spec.Default, Locked: spec.LockToDefault, Stage: string(spec.PreRelease), Needs: []string{}}
		for _, needed := range needs[name] {
			one.Needs = append(one.Needs, string(needed))
		}
		sort.Strings(one.Needs)
		found[string(name)] = one
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
